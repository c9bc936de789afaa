"""Labels as they were given, numbers or names, to numbers from 0 and the names of those."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from train.errors import CorpusError
from train.splitting.rows_file import Given

_WHOLE: Final = re.compile(r"-?\d+")


@dataclass(frozen=True, slots=True)
class Numbered:
    """A label's number, and its name where it was given as one."""

    label: int
    name: str | None


def numbered(rows: Sequence[Given]) -> tuple[Numbered, ...]:
    """Each row's label.

    Labels that are 0 … K-1 stay as they are. All others are names: they are numbered in sorted
    order, whole numbers by their size. Raises CorpusError for a label that is neither.
    """
    given = [_text(row) for row in rows]
    kinds = set(given)
    whole = all(_WHOLE.fullmatch(each) for each in kinds)
    if whole and {int(each) for each in kinds} == set(range(len(kinds))):
        return tuple(Numbered(int(each), None) for each in given)
    order = sorted(kinds, key=int) if whole else sorted(kinds)
    numbers = {name: number for number, name in enumerate(order)}
    return tuple(Numbered(numbers[each], each) for each in given)


def _text(row: Given) -> str:
    label: Any = row.fields["label"]
    if isinstance(label, bool) or not isinstance(label, int | str):
        raise CorpusError(f"{row.where}: label {label!r} is neither a number nor a name")
    text = str(label).strip()
    if not text:
        raise CorpusError(f"{row.where}: the row has no label")
    return text
