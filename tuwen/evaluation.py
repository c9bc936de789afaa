"""What bundles say of labelled posts, to figures: of one bundle, and of two on the same posts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from inference.judging import (
    SIGNIFICANT,
    Accuracy,
    Difference,
    Floats,
    LabelFigures,
    Labels,
    Right,
    accuracy,
    calibration_error,
    confusion,
    difference,
    label_figures,
    macro_f1,
)
from schemas.verdict import Modality, ModelName
from tuwen.answers import Answers, LabelledPost
from tuwen.classification import verdict_of
from tuwen.classifying import Counts
from tuwen.failures import Failed
from worker.messages import Outcome

FLIPS_MAX: Final = 20
"""So many of the rows that two bundles label differently are listed."""

PATTERNS: Final[dict[str, tuple[Modality, ...]]] = {
    "complete": ("text", "image"),
    "text only": ("text",),
    "image only": ("image",),
}
"""What a verdict was made from, in words."""


class PatternFigures(msgspec.Struct, frozen=True):
    """The rows that were labelled from the same modalities."""

    accuracy: Accuracy
    calibration_error: float


class BundleFigures(msgspec.Struct, frozen=True):
    """One bundle on the rows of a half. All but the counts is of the rows that got a label.

    `missing` counts, by reason, the verdicts that lack a modality. `confusion[i][j]` counts the
    rows of label i that were given label j.
    """

    model: ModelName
    rows: int
    labelled: int
    abstained: int
    rejected: dict[str, int]
    missing: dict[str, int]
    accuracy: Accuracy
    macro_f1: float
    calibration_error: float
    by_presence: dict[str, PatternFigures]
    labels: tuple[LabelFigures, ...]
    confusion: tuple[tuple[int, ...], ...]
    seconds_per_post: float
    cpu_us_per_post: float


class Flip(msgspec.Struct, frozen=True):
    """A row that two bundles label differently."""

    id: str
    truth: str
    one: str
    other: str


class Comparison(msgspec.Struct, frozen=True):
    """The first bundle against the other, on the rows that both labelled; the rest is left out.

    Of the `flips`, the rows that they label differently, the first are `shown`.
    """

    one: ModelName
    other: ModelName
    accuracy: Difference
    left_out: int
    flips: int
    shown: tuple[Flip, ...]

    @property
    def significant(self) -> bool:
        """Whether the difference is more than chance would make of equally good bundles."""
        return self.accuracy.p_value < SIGNIFICANT


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Rows that got a label: truth and said int64[N], right bool[N], scores float64[N,K]."""

    truth: Labels
    said: Labels
    right: Right
    scores: Floats
    used: tuple[tuple[Modality, ...], ...]


def judge(answers: Answers, rows: Sequence[LabelledPost]) -> BundleFigures:
    """Every figure of one bundle. Raises Failed when not one row got a label."""
    counts = Counts()
    counts.add(answers.found)
    if not counts.labelled:
        raise Failed(
            f"{answers.named} labelled none of {len(rows):,} rows ({'; '.join(counts.words())}): "
            "there is nothing to judge"
        )
    labelled = _labelled(answers, rows)
    table = confusion(labelled.said, labelled.truth, len(answers.labels))
    by_label = label_figures(table, answers.labels)
    return BundleFigures(
        model=answers.model,
        rows=len(rows),
        labelled=counts.labelled,
        abstained=counts.abstained,
        rejected=dict(counts.rejected),
        missing=dict(counts.missing),
        accuracy=accuracy(labelled.right),
        macro_f1=macro_f1(by_label),
        calibration_error=calibration_error(labelled.scores, labelled.truth),
        by_presence=_by_presence(labelled),
        labels=by_label,
        confusion=tuple(tuple(row) for row in table.tolist()),
        seconds_per_post=answers.seconds / len(rows),
        cpu_us_per_post=1e6 * answers.cpu_s / len(rows),
    )


def compare(one: Answers, other: Answers, rows: Sequence[LabelledPost]) -> Comparison:
    """Two bundles on the same rows. Raises Failed when there is no row that both labelled."""
    both = [
        (row, mine, theirs)
        for row, mine, theirs in zip(rows, _said(one), _said(other), strict=True)
        if mine is not None and theirs is not None
    ]
    if not both:
        raise Failed(f"there is no row that both {one.named} and {other.named} labelled")
    flips = [Flip(row.id, row.label, mine, theirs) for row, mine, theirs in both if mine != theirs]
    return Comparison(
        one.model,
        other.model,
        difference(
            np.array([mine == row.label for row, mine, _ in both]),
            np.array([theirs == row.label for row, _, theirs in both]),
        ),
        len(rows) - len(both),
        len(flips),
        tuple(flips[:FLIPS_MAX]),
    )


def _labelled(answers: Answers, rows: Sequence[LabelledPost]) -> _Labelled:
    column = {label: number for number, label in enumerate(answers.labels)}
    own = [
        (verdict_of(found), column[row.label])
        for found, row in zip(answers.found, rows, strict=True)
        if isinstance(found, Outcome) and found.label is not None
    ]
    truth = np.array([label for _, label in own], np.int64)
    scores = np.array([list(verdict.scores.values()) for verdict, _ in own], np.float64)
    said = np.asarray(scores.argmax(axis=1), np.int64)
    return _Labelled(
        truth,
        said,
        np.asarray(said == truth, np.bool_),
        scores,
        tuple(verdict.used for verdict, _ in own),
    )


def _by_presence(labelled: _Labelled) -> dict[str, PatternFigures]:
    figures = {}
    for name, modalities in PATTERNS.items():
        own = np.array([used == modalities for used in labelled.used])
        if own.any():
            error = calibration_error(labelled.scores[own], labelled.truth[own])
            figures[name] = PatternFigures(accuracy(labelled.right[own]), error)
    return figures


def _said(answers: Answers) -> list[str | None]:
    return [found.label if isinstance(found, Outcome) else None for found in answers.found]
