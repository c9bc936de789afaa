"""The words of a text's clauses to the polarity of the text, by one lexicon; or to none.

Each polar word counts its value × the degree words × -1 for each negation, of those that stand in
a window before it: at most so many words back, in its own clause, and behind the polar word before
it. P is the sum of what counts for, N of what counts against:

    lean = (P - N) / (P + N)

No polar word, no lean. A lean nearer to 0 than `lean_min` is too little to label by.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import fsum, prod

import msgspec

from train.errors import SettingError

Clause = Sequence[str]

_WINDOW_MAX = 20


class Polarity(StrEnum):
    """What a text can be labelled as."""

    POSITIVE = "positive"
    NEUTRAL = "neutral"
    NEGATIVE = "negative"


class RuleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Raises SettingError for an impossible one."""

    window: int = 4
    """How many words before a polar word may change it. More reach further (没有想象中那么好),
    and into what does not belong to it; 0 looks at polar words alone."""
    lean_min: float = 1 / 3
    """The least lean, to either side, that is a label. Higher is surer and labels less; 1/3 is
    twice as much on one side as on the other."""
    neutral: bool = False
    """Whether a text without any polar word is neutral; without it, it has no label."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not 0 <= self.window <= _WINDOW_MAX:
            raise SettingError(f"setting window: 0 to {_WINDOW_MAX} words")
        if not 0 < self.lean_min <= 1:
            raise SettingError("setting lean_min: above 0, and at most 1")


@dataclass(frozen=True, slots=True)
class Modifiers:
    """Words that change the polar word behind them."""

    negations: frozenset[str]
    degrees: Mapping[str, float]

    def __contains__(self, word: str) -> bool:
        return word in self.negations or word in self.degrees

    def of(self, word: str) -> float:
        """What it multiplies a polarity by; 1 for a word that changes nothing."""
        return -1.0 if word in self.negations else self.degrees.get(word, 1.0)


@dataclass(frozen=True, slots=True)
class Weighed:
    """What speaks for a text and what against it; both are 0 when no polar word was found."""

    positive: float
    negative: float

    @property
    def lean(self) -> float | None:
        """-1 … 1, or None without a polar word."""
        whole = self.positive + self.negative
        return (self.positive - self.negative) / whole if whole else None


def weigh(
    clauses: Iterable[Clause], polarities: Mapping[str, float], modifiers: Modifiers, window: int
) -> Weighed:
    """All clauses together, each read by itself; their order does not matter."""
    values = [
        value
        for clause in clauses
        for value in _values(_parts(clause, polarities, modifiers), polarities, modifiers, window)
    ]
    # An exact sum does not depend on the order of what is added.
    return Weighed(fsum(v for v in values if v > 0), fsum(-v for v in values if v < 0))


def decide(weighed: Weighed, settings: RuleSettings) -> Polarity | None:
    """The label, or None where the lexicon abstains."""
    lean = weighed.lean
    if lean is None:
        return Polarity.NEUTRAL if settings.neutral else None
    if abs(lean) < settings.lean_min:
        return None
    return Polarity.POSITIVE if lean > 0 else Polarity.NEGATIVE


def _values(
    words: Clause, polarities: Mapping[str, float], modifiers: Modifiers, window: int
) -> Iterator[float]:
    """What each polar word of a clause counts."""
    behind = 0
    for place, word in enumerate(words):
        if word not in polarities or _is_degree_here(words, place, polarities, modifiers):
            continue
        before = words[max(behind, place - window) : place]
        yield polarities[word] * prod(map(modifiers.of, before))
        behind = place + 1


def _is_degree_here(
    words: Clause, place: int, polarities: Mapping[str, float], modifiers: Modifiers
) -> bool:
    """Whether a polar word that is a degree word too (好) stands right before a polar word."""
    return (
        words[place] in modifiers.degrees
        and place + 1 < len(words)
        and words[place + 1] in polarities
    )


def _parts(words: Clause, polarities: Mapping[str, float], modifiers: Modifiers) -> tuple[str, ...]:
    """The words, with those that are a modifier and a known word in one (不太好) taken apart."""
    return tuple(part for word in words for part in _apart(word, polarities, modifiers))


def _apart(word: str, polarities: Mapping[str, float], modifiers: Modifiers) -> tuple[str, ...]:
    if word in polarities or word in modifiers:
        return (word,)
    for end in range(len(word) - 1, 0, -1):
        rest = _apart(word[end:], polarities, modifiers)
        if word[:end] in modifiers and (rest[0] in polarities or rest[0] in modifiers):
            return (word[:end], *rest)
    return (word,)
