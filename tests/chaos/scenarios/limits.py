"""Send records that are, or make outcomes that are, a byte under, at and over each limit.

How large a record becomes in its batch is the client's to say, so each limit is crossed in steps
of one byte: somewhere among them the outcome changes, and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.chaos.oracle import posts_sent
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import Posts, post
from tests.chaos.trial import Trial, trial

VERDICT_MAX: Final = 10_000
LETTER_MAX: Final = 20_000
POST_MAX: Final = 40_000
DIGITS: Final = 6
"""What a number of a post, and its offset, may add to a record of the same padding."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """So many records, each a byte larger than the last, across one limit."""

    crosses: str
    padding_min: int
    count: int
    in_header: bool
    broken: bool


SWEEPS: Final = (
    Sweep("verdict", VERDICT_MAX - 700, 600, in_header=True, broken=False),
    Sweep("value of a letter", LETTER_MAX - 1_200, 1_000, in_header=False, broken=True),
    Sweep("headers of a letter", LETTER_MAX - 1_200, 1_000, in_header=True, broken=False),
    Sweep("post", POST_MAX - 200, 200, in_header=False, broken=True),
)
POSTS: Final = sum(sweep.count for sweep in SWEEPS)


def run(place: Place, load: Load) -> Figures:
    """Cross all limits; what a record became is looked up by its number."""
    limits = {"posts": POST_MAX, "verdicts": VERDICT_MAX, "dead_letters": LETTER_MAX}
    posts = Posts(_value, _headers, together_max=1, refused=None)
    with trial(place, load, posts=posts, bytes_max=limits) as tried:
        pass
    became = _became(tried)
    first = 0
    for sweep in SWEEPS:
        kinds = [became[number] for number in range(first, first + sweep.count)]
        _judge(tried.figures, sweep, kinds)
        first += sweep.count
    return tried.figures


def _place_of(number: int) -> tuple[Sweep, int]:
    for sweep in SWEEPS:
        if number < sweep.count:
            return sweep, sweep.padding_min + number
        number -= sweep.count
    raise AssertionError("the load is larger than all sweeps")


def _value(number: int) -> bytes:
    sweep, padding = _place_of(number)
    if sweep.broken:
        return b"{" + bytes(0 if sweep.in_header else padding)
    return post(number, "房间很好")


def _headers(number: int) -> list[tuple[str, str | bytes | None]]:
    sweep, padding = _place_of(number)
    return [("padding", bytes(padding))] if sweep.in_header else []


def _became(tried: Trial) -> Mapping[int, str]:
    """Say what each became: a verdict, a letter with all that it had or less, or nothing at all."""
    became = dict.fromkeys(range(POSTS), "refused by the broker")
    for source, number in posts_sent(tried.topics).items():
        reason = tried.found.reasons.get(source)
        omitted = tried.found.omitted.get(source)
        became[int(number)] = (
            "verdict" if not reason else f"letter without {omitted}" if omitted else "letter"
        )
    return became


def _judge(figures: Figures, sweep: Sweep, kinds: Sequence[str]) -> None:
    """Each outcome is that of one range of sizes, and they follow one another."""
    order = list(dict.fromkeys(kinds))
    figures.hit("limits crossed", int(len(order) > 1))
    figures.shown[f"a larger {sweep.crosses} gives"] = " → ".join(order)
    figures.demand(len(order) > 1, f"{sweep.crosses}: its limit was not crossed")
    for smaller, larger in pairwise(order):
        overlap = _last(kinds, smaller) - kinds.index(larger)
        figures.demand(overlap <= DIGITS, f"{sweep.crosses}: {smaller} after {larger}")


def _last(kinds: Sequence[str], kind: str) -> int:
    return max(number for number, each in enumerate(kinds) if each == kind)
