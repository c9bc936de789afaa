"""What can keep a bundle from being written.

ExportError          the models folder cannot be read, or the bundle not written
└── ParityError      the graphs do not say what training said
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_ROWS_SHOWN: Final = 5
_PUBLISHED: Final = "scores"
_WHAT: Final = {
    "tokens": "the words of the text",
    "features": "how often each term stands in the text",
    "text.scores": "the SVM's raw scores",
    "image.scores": "the CNN's raw scores",
    _PUBLISHED: "what fusion publishes",
    "labels": "the label that is published",
}
_TRAINED: Final = "train again with this version; if it differs again, this is a defect of export"
_BROUGHT: Final = (
    "the model stays as its owner trained it: look at the step where it begins, and fit the model "
    "without what is unusual there (a vectoriser of dtype float32, say); where nothing is, this is "
    "a defect of export"
)


class ExportError(Exception):
    """No bundle was written; the text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of one stage, side by side; `by` is how far apart they are, `tolerance` how far
    they may be. `post` is the row's text, shortened, and its image.
    """

    stage: str
    row: str
    post: str
    reference: str
    found: str
    by: float
    tolerance: float


class ParityError(ExportError):
    """The bundle's graphs and training disagree. `differences` come worst first by stage, stages
    in the order of a post's way; `rows` is how many were compared.
    """

    def __init__(self, differences: Sequence[Difference], rows: int, *, brought: bool) -> None:
        self.differences = tuple(differences)
        self.stages = tuple(dict.fromkeys(difference.stage for difference in differences))
        super().__init__("\n".join(_drawn(self, rows, brought=brought)))

    def of(self, stage: str) -> list[Difference]:
        """The rows that differ in a stage, worst first."""
        return [difference for difference in self.differences if difference.stage == stage]


def _drawn(error: ParityError, rows: int, *, brought: bool) -> list[str]:
    """The stage where it begins, and the one where it ends, side by side; of others the number."""
    by, trained = ("its owner", "owner's") if brought else ("training", "trained")
    first = error.stages[0]
    last = _PUBLISHED if _PUBLISHED in error.stages else error.stages[-1]
    lines = [f"no bundle was written: what would be served is not what {by} gave"]
    lines += _stage(f"it begins with {_named(first)}", error.of(first), rows, trained)
    others = [
        f"{stage} in {len(error.of(stage)):,} rows"
        for stage in error.stages
        if stage not in {first, last}
    ]
    if others:
        lines.append(f"  besides, {', '.join(others)}")
    if last != first:
        lines += _stage(f"it ends in {_named(last)}", error.of(last), rows, trained)
    return [*lines, f"  {_BROUGHT if brought else _TRAINED}"]


def _named(stage: str) -> str:
    return f"{stage}, {_WHAT[stage]}" if stage in _WHAT else stage


def _stage(head: str, differences: Sequence[Difference], rows: int, trained: str) -> list[str]:
    lines = [f"  {head}: {len(differences):,} of {rows:,} rows differ, the worst are"]
    for worst in differences[:_ROWS_SHOWN]:
        lines += [
            f"    {worst.row}  {worst.post}",
            f"      {trained:<8} {worst.reference}",
            f"      exported {worst.found}",
            f"      apart by {worst.by:.3g}, tolerated {worst.tolerance:.3g}",
        ]
    return lines
