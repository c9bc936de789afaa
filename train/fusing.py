"""What text model and CNN say of rows that they never saw, to a fitted fusion for each strategy.

Strategies that read regions of the picture learn from the rows that one CNN never saw, and have
that CNN for their own; all others learn from every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.calibration import Calibration, calibrate
from train.class_weights import row_weights
from train.cnn import REGIONS, SCORES
from train.fusion.seam import (
    IMAGE,
    IMAGE_REGIONS,
    MODALITIES,
    TEXT,
    TEXT_EMBEDDING,
    TEXT_MASK,
    TEXT_TOKENS,
    FusionStrategy,
    TrainingInputs,
)
from train.image_model import ImageTraining, image_outputs
from train.prepared import Prepared
from train.settings import ClassWeight
from train.text_model import TextTraining
from train.unseen import Fitted, Floats, Unseen, joined, unseen_scores

_OF_THE_PROJECTION = (TEXT_EMBEDDING, TEXT_TOKENS)


@dataclass(frozen=True, slots=True)
class Lessons:
    """Everything that strategies may learn from."""

    half: Prepared
    labels_count: int
    text: TextTraining
    image: ImageTraining
    seed: int
    class_weight: ClassWeight

    def of(self, strategy: FusionStrategy) -> TrainingInputs:
        """The inputs that the strategy needs, on the rows that it may learn from."""
        apart = reads_regions(strategy)
        rows = (
            np.flatnonzero(self.half.image_folds == 0) if apart else np.arange(len(self.half.rows))
        )
        ids = tuple(self.half.ids[row] for row in rows)
        found = {"text.scores": self.text.scores, SCORES: self.image.scores}
        if self.text.embedding is not None:
            found[TEXT_EMBEDDING] = self.text.embedding
        if apart:
            found |= self._tokens(rows) | self._regions(rows)
        inputs = {name: _placed(found[name], ids) for name in strategy.needs(MODALITIES)}
        scored = [np.isfinite(inputs[f"{name}.scores"].scores[:, 0]) for name in MODALITIES]
        return TrainingInputs(
            inputs,
            self.half.labels[rows],
            self.labels_count,
            np.stack(scored, axis=1),
            self.half.text_folds[rows],
            self.seed,
            MODALITIES,
            {name: targets[rows] for name, targets in _targets(self.half).items()},
            self.class_weight,
            {TEXT: self._text_alone()} if apart else {},
        )

    def _text_alone(self) -> Fitted[Calibration]:
        """The text's own calibration, by all rows: no CNN has a part in it."""
        scored = _placed(self.text.scores, self.half.ids).scores
        rows = np.flatnonzero(np.isfinite(scored[:, 0]))
        labels = self.half.labels[rows]
        weights = row_weights(labels, self.labels_count, self.class_weight)
        calibration = calibrate(scored[rows], labels, self.labels_count, weights)
        return Fitted("text alone", calibration, frozenset(self.half.ids[row] for row in rows))

    def _tokens(self, rows: NDArray[np.int64]) -> dict[str, Unseen]:
        """Tokens and mask of the texts: by the vocabulary, and a projection that saw no label."""
        rows = rows[self.half.present[rows, TEXT]]
        model = self.text.model.model
        ids = [self.half.ids[row] for row in rows]
        fitted = Fitted("tokens", model, self.text.vectorisers.rows, learned_labels=False)
        found = model.token_outputs(model.token_ids(self.half.texts(rows)))
        return {name: _unseen(fitted, ids, found[name]) for name in (TEXT_TOKENS, TEXT_MASK)}

    def _regions(self, rows: NDArray[np.int64]) -> dict[str, Unseen]:
        """Scores and regions by the CNN that never saw the first fold."""
        rows = rows[self.half.present[rows, IMAGE]]
        ids = [self.half.ids[row] for row in rows]
        found = image_outputs(self.half.pixels[rows], self.image.alone.model)
        return {name: _unseen(self.image.alone, ids, found[name]) for name in (SCORES, REGIONS)}


def reads_regions(strategy: FusionStrategy) -> bool:
    """Whether it needs a CNN of its own."""
    return IMAGE_REGIONS in strategy.needs(MODALITIES)


def needs_projection(strategies: Sequence[FusionStrategy]) -> bool:
    """Whether any reads the text's embedding, or tokens, which are cut from the same directions."""
    return any(
        name in _OF_THE_PROJECTION for strategy in strategies for name in strategy.needs(MODALITIES)
    )


def _unseen(fitted: Fitted[Any], ids: Sequence[str], values: Floats) -> Unseen:
    return unseen_scores(fitted, ids, lambda _: values)


def _placed(unseen: Unseen, ids: tuple[str, ...]) -> Unseen:
    """In the order of `ids`, NaN for rows that it does not hold; other rows are left out."""
    wanted = set(ids)
    rows = np.array([n for n, name in enumerate(unseen.ids) if name in wanted], np.int64)
    return joined([unseen.chosen(rows)], ids)


def _targets(half: Prepared) -> dict[str, NDArray[np.int64]]:
    """What each modality itself shows, -1 where nobody says."""
    told = {
        "text": [row.text_label for row in half.rows],
        "image": [row.image_label for row in half.rows],
    }
    return {
        name: np.asarray([-1 if each is None else each for each in values], np.int64)
        for name, values in told.items()
    }
