"""The one place where a fitted thing scores rows that another will learn from.

Whatever was fitted with labels carries the ids of its rows in a `Fitted`; `unseen_scores` refuses
to score any of those. `Unseen`, which it alone makes, is what fusion accepts to learn from. What
is fitted without labels (vocabulary, idf, the projection of the text embedding) records its rows
too and is marked so: it cannot carry a label over.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from train.errors import LeakageError

Floats = NDArray[np.float64]
Model = TypeVar("Model")


@dataclass(frozen=True, slots=True)
class Fitted(Generic[Model]):
    """A fitted thing, and the rows that it was fitted on, early stopping included."""

    name: str
    model: Model
    rows: frozenset[str]
    learned_labels: bool = True


@dataclass(frozen=True, slots=True)
class Unseen:
    """Scores float64[N,…] of rows by things that were fitted on other rows, in the order of ids."""

    ids: tuple[str, ...]
    scores: Floats

    def chosen(self, rows: NDArray[np.int64]) -> "Unseen":
        """Some of the rows."""
        return Unseen(tuple(self.ids[row] for row in rows), self.scores[rows])


def unseen_scores(
    fitted: Fitted[Model], ids: Sequence[str], score: Callable[[Model], Floats]
) -> Unseen:
    """What `score` makes of the rows `ids` through the model.

    Raises:
        LeakageError: the model was fitted, with labels, on one of these rows.
    """
    seen = sorted(fitted.rows.intersection(ids)) if fitted.learned_labels else []
    if seen:
        raise LeakageError(
            f"{fitted.name} was fitted on {len(seen)} of the {len(ids)} rows that it should score "
            f"for a later fit, {seen[0]!r} among them: use a model of another fold"
        )
    return Unseen(tuple(ids), np.asarray(score(fitted.model), np.float64))


def joined(parts: Sequence[Unseen], ids: Sequence[str]) -> Unseen:
    """The parts of all folds as one, in the order of `ids`; rows of no part are NaN."""
    place = {name: row for row, name in enumerate(ids)}
    scores = np.full((len(ids), *parts[0].scores.shape[1:]), np.nan)
    for part in parts:
        rows = [place[name] for name in part.ids]
        assert np.isnan(scores[rows]).all(), "a row was scored by two folds"
        scores[rows] = part.scores
    return Unseen(tuple(ids), scores)


def row_ids(rows: Collection[str]) -> tuple[str, ...]:
    """Sorted, as an artefact records them."""
    return tuple(sorted(rows))
