"""The posts of a demo: the corpus's test half as often as needed, the bad ones among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Final

import msgspec

from schemas.post import Post
from tuwen.demo.bad_posts import BadPost
from worker.images.file import reference_to


class TruthRow(msgspec.Struct, frozen=True):
    """What the demo needs of a corpus's row."""

    id: str
    label_name: str
    text: str | None = None
    image: str | None = None


class DemoPost(msgspec.Struct, frozen=True):
    """A record of the demo: its id is its key, `truth` its label, None for a bad one."""

    id: str
    value: str
    text: str | None = None
    truth: str | None = None
    kind: str | None = None
    fate: str | None = None

    @property
    def rejected(self) -> bool:
        """Whether it must become a dead letter."""
        return self.fate == "dead letter"


ROWS: Final = msgspec.json.Decoder(TruthRow)


@dataclass(frozen=True, slots=True)
class Plan:
    """The posts in the order of sending: a steady part with the bad ones, then a burst."""

    steady: Sequence[DemoPost]
    burst: Sequence[DemoPost]

    @property
    def all(self) -> Sequence[DemoPost]:
        """Both parts."""
        return [*self.steady, *self.burst]


def plan(
    rows: Sequence[TruthRow], bad: Sequence[BadPost], steady: int, burst: int, run: str
) -> Plan:
    """Make `steady` posts, the bad ones evenly among them, and `burst` good ones more.

    Args:
        rows: test rows of the corpus; each comes again, under a new id, until there are enough.
        bad: the bad ones.
        steady: how many posts the steady part has, the bad ones included.
        burst: how many the burst has.
        run: what every id begins with, so that two runs share none.
    """
    good = [_good(row, run, turn) for turn, row in _repeated(rows, steady - len(bad) + burst)]
    first, last = good[: steady - len(bad)], good[steady - len(bad) :]
    shuffled = list(bad)
    Random(run).shuffle(shuffled)  # noqa: S311 - an order to look at
    return Plan(_among(first, [_bad(post) for post in shuffled]), last)


def read_rows(path: Path) -> Sequence[TruthRow]:
    """Read the rows of a corpus's half."""
    return [ROWS.decode(line) for line in path.read_bytes().splitlines() if line.strip()]


def _repeated(rows: Sequence[TruthRow], count: int) -> Sequence[tuple[int, TruthRow]]:
    return [(i // len(rows), row) for i, row in enumerate(islice(cycle(rows), count))]


def _good(row: TruthRow, run: str, turn: int) -> DemoPost:
    own = f"{run}-{row.id}-{turn}"
    image = reference_to(f"corpus/{row.image}") if row.image else None
    value = msgspec.json.encode(Post(own, row.text, image)).decode()
    return DemoPost(own, value, row.text, row.label_name)


def _bad(post: BadPost) -> DemoPost:
    return DemoPost(post.id, post.value.decode(), None, None, post.kind, post.fate)


def _among(good: Sequence[DemoPost], bad: Sequence[DemoPost]) -> Sequence[DemoPost]:
    """Spread the bad ones evenly, none at the very start."""
    spread = list(good)
    for number, post in enumerate(bad, 1):
        spread.insert(number * len(good) // (len(bad) + 1) + number - 1, post)
    return spread
