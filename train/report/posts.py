"""Single posts of a report: test posts that were labelled wrongly, and suspected training rows."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from train.evaluation import Answers
from train.report.contents import Said, Suspect, Suspects, Use, WrongPost
from train.report.reading import OutOfFold, TestHalf
from train.report.suspects import suspected
from train.rows import Row
from train.unseen import Floats

SHOWN_MAX: Final = 12
_CHARACTERS_MAX: Final = 300
_ALONE: Final[tuple[Use, ...]] = ("text", "image")


def as_sent(answers: Answers) -> Floats:
    """float64[N,K]: the scores of each post by all that it has; NaN where it has nothing."""
    scores = answers.scores["fused"]
    for use in _ALONE:
        scores = np.where(np.isfinite(scores), scores, answers.scores[use])
    return np.asarray(scores, np.float64)


def most_wrong(
    test: TestHalf, answers: Answers, rows: Mapping[str, Row], labels: Sequence[str]
) -> tuple[WrongPost, ...]:
    """Those labelled wrongly with most confidence."""
    scores = as_sent(answers)
    answered = np.flatnonzero(np.isfinite(scores[:, 0]))
    wrong = answered[scores[answered].argmax(axis=1) != test.labels[answered]]
    order = wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")]
    return tuple(
        _wrong(rows[test.ids[place]], place, scores, answers, labels) for place in order[:SHOWN_MAX]
    )


def least_believed(
    rows: OutOfFold, believed: Floats, by_id: Mapping[str, Row], labels: Sequence[str]
) -> Suspects:
    """The rows whose labels are suspected, and how many there are."""
    found = suspected(believed, rows.labels)
    shown = [
        _suspect(by_id[rows.ids[place]], believed[place], labels) for place in found[:SHOWN_MAX]
    ]
    return Suspects(int(np.isfinite(believed[:, 0]).sum()), len(found), tuple(shown))


def _wrong(
    row: Row, place: int, scores: Floats, answers: Answers, labels: Sequence[str]
) -> WrongPost:
    alone = {use: _said(answers.scores[use][place], labels) for use in _ALONE}
    return WrongPost(
        row.id,
        shortened(row.text),
        row.image,
        labels[row.label],
        said(scores[place], labels),
        {use: each for use, each in alone.items() if each is not None},
    )


def _suspect(row: Row, believed: Floats, labels: Sequence[str]) -> Suspect:
    return Suspect(
        row.id,
        shortened(row.text),
        row.image,
        labels[row.label],
        float(believed[row.label]),
        said(believed, labels),
    )


def said(scores: Floats, labels: Sequence[str]) -> Said:
    """The label of float64[K]."""
    return Said(labels[int(scores.argmax())], float(scores.max()))


def _said(scores: Floats, labels: Sequence[str]) -> Said | None:
    return said(scores, labels) if np.isfinite(scores[0]) else None


def shortened(text: str | None) -> str | None:
    """As much of a text as a page shows."""
    if text is None or len(text) <= _CHARACTERS_MAX:
        return text
    return text[:_CHARACTERS_MAX] + "…"
