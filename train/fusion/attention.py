"""Attention: words and places of the picture look at each other, and correct the log-odds.

    base       = what `ensemble` makes of the scores, before its softmax
    t, r       = tokens and regions, each projected to d numbers; s = one token that is always there
    t', r'     = norm(t + attend(t, [s, r])), norm(r + attend(r, [s, t]))
    h          = attend(s, [s, t', r']), and of it
    logits     = base + relu(norm(h) @ W) @ C, where C is zero at the start

The head is that of cross-modal transformers (Tsai et al. 2019, Lu et al. 2019), as small as it
can be, and it begins as `ensemble`: what it learns it must learn against that, and rows that are
held out decide when it stops. `weights` are the shares of tokens and regions in what s looks at.

Regions have meaning only within one CNN, so the head learns from rows that one CNN never saw, and
that CNN is the one that is shipped with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.fusion.deep import (
    LABEL,
    PRESENT,
    Course,
    Learner,
    Lesson,
    answers,
    masked,
    save_head,
)
from train.fusion.ensemble import STRATEGY as ENSEMBLE
from train.fusion.ensemble import FittedEnsemble
from train.fusion.seam import (
    IMAGE_REGIONS,
    TEXT_MASK,
    TEXT_TOKENS,
    FittedFusion,
    PatternCalibration,
    Present,
    TrainingInputs,
    calibrated_beside,
    score_names,
    scores_beside,
    where_present,
    write,
)
from train.quiet_keras import load
from train.unseen import Floats

WEIGHTS: Final = "weights"
BASE: Final = "base"
_SOURCES: Final = (TEXT_TOKENS, TEXT_MASK, IMAGE_REGIONS)
_WIDTH: Final = 16
_DROPOUT: Final = 0.5
_FOLDS: Final = 3
_COURSE: Final = Course(10, 1.5e-3, 0.1, {LABEL: 1.0}, modality_dropout=0.1)
# What a modality without a single token weighs.
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Corrected:
    """What `ensemble` says, and the head that corrects it."""

    base: FittedEnsemble
    head: Any

    def logits(
        self, inputs: Mapping[str, Floats], present: Present, modalities: Sequence[str]
    ) -> dict[str, Floats]:
        """`label` float64[N,K] and `weights` float64[N,M]."""
        return answers(self.head, _given(self.base, inputs, present, modalities), present)


@dataclass(frozen=True, slots=True)
class FittedAttention:
    """The modalities, base and head, and the calibration by pattern."""

    modalities: tuple[str, ...]
    corrected: Corrected
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        logits = self.corrected.logits(inputs, present, self.modalities)[LABEL]
        z = scores_beside(logits, inputs, present, self.modalities)
        return self.calibration.probabilities(z, present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """The shares of text and image in what the token that is always there looks at."""
        return {WEIGHTS: self.corrected.logits(inputs, present, self.modalities)[WEIGHTS]}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """Projections of each token and region, twice over, and what they compare."""
        _, tokens, depth = inputs[TEXT_TOKENS].shape
        _, regions, channels = inputs[IMAGE_REGIONS].shape
        projected = tokens * depth + regions * channels + 6 * (tokens + regions) * _WIDTH
        compared = 2 * tokens * (regions + 1) + 2 * regions * (tokens + 1) + tokens + regions
        return int(_WIDTH * (projected + 2 * compared) + tokens * depth)

    def save(self, folder: Path) -> None:
        """Write strategy.json, weights.npz and head.keras."""
        base = self.corrected.base.calibration
        arrays = {
            "base.A": base.matrix,
            "base.b": base.bias,
            **self.calibration.arrays(),
        }
        write(folder, {"features": _SOURCES, "scores": self.corrected.base.names}, arrays)
        save_head(self.corrected.head, folder)


@dataclass(frozen=True, slots=True)
class Attention:
    """Fits base and head per fold for the calibration, then those on all rows."""

    name: str = "attention"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores, the tokens of the text and the regions of the image."""
        return (*score_names(modalities), *_SOURCES)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Equal inputs and seed give equal results."""
        modalities, folds = training.modalities, training.folds % _FOLDS
        course = replace(_COURSE, label_weights=training.label_weights)
        learner = Learner(partial(_head, training), course, training.seed)
        parts = {
            fold: _corrected(learner, training.chosen(np.flatnonzero(folds != fold)))
            for fold in np.unique(folds)
        }

        def own(rows: NDArray[np.int64], present: Present) -> Floats:
            logits = np.empty((len(rows), training.labels_count))
            for fold, part in parts.items():
                here = folds[rows] == fold
                mine = {name: array[rows[here]] for name, array in training.values.items()}
                logits[here] = part.logits(mine, present[here], modalities)[LABEL]
            return logits

        calibration = calibrated_beside(training, own)
        return FittedAttention(modalities, _corrected(learner, training), calibration)


def _corrected(learner: Learner, training: TrainingInputs) -> Corrected:
    base = ENSEMBLE.fit(training)
    given = _given(base, training.values, training.present, training.modalities)
    return Corrected(base, learner.fit(Lesson(given, training.present, {LABEL: training.labels})))


def _given(
    base: FittedEnsemble, inputs: Mapping[str, Floats], present: Present, modalities: Sequence[str]
) -> dict[str, Floats]:
    """The head's inputs, zeros where a modality is absent."""
    kept = {
        name: where_present(inputs[name], present, modalities.index(name.partition(".")[0]))
        for name in _SOURCES
    }
    return {**kept, BASE: base.logits(inputs, present)}


def _head(training: TrainingInputs) -> Any:
    """A keras.Model of the sources, the base and presence to logits and weights."""
    _, keras = load()
    sides = {name: training.scores(name).shape[1:] for name in _SOURCES}
    inputs = {name: keras.Input(shape, name=name) for name, shape in sides.items()}
    inputs[BASE] = keras.Input((training.labels_count,), name=BASE)
    inputs[PRESENT] = keras.Input((len(training.modalities),), name=PRESENT)
    present = inputs[PRESENT]
    text, image = (training.modalities.index(name) for name in ("text", "image"))
    here = masked(keras, inputs[TEXT_MASK], present, text)
    there = keras.ops.ones_like(inputs[IMAGE_REGIONS][:, :, 0]) * present[:, image, None]
    tokens = _projected(keras, inputs[TEXT_TOKENS])
    regions = _projected(keras, _standardised(keras, inputs[IMAGE_REGIONS], training))
    always = keras.layers.Dense(_WIDTH)(keras.ops.zeros_like(inputs[BASE]))[:, None, :]
    one = keras.ops.ones_like(present[:, :1])
    t, _ = _attend(keras, tokens, [always, regions], [one, there])
    r, _ = _attend(keras, regions, [always, tokens], [one, here])
    t, r = (keras.layers.LayerNormalization()(a + b) for a, b in ((tokens, t), (regions, r)))
    h, seen = _attend(keras, always, [always, t, r], [one, here, there])
    h = keras.layers.LayerNormalization()(keras.layers.Dropout(_DROPOUT)(h[:, 0]))
    h = keras.layers.Dense(_WIDTH, activation="relu")(h)
    correction = keras.layers.Dense(
        training.labels_count, kernel_initializer="zeros", use_bias=False
    )(h)
    return keras.Model(
        inputs,
        {
            LABEL: inputs[BASE] + correction,
            WEIGHTS: _weights(keras, seen[:, 0], sides[TEXT_TOKENS][0], present, (text, image)),
        },
    )


def _projected(keras: Any, tensor: Any) -> Any:
    layers = keras.layers
    return layers.Dropout(_DROPOUT / 2)(layers.Dense(_WIDTH)(layers.Dropout(_DROPOUT)(tensor)))


def _standardised(keras: Any, regions: Any, training: TrainingInputs) -> Any:
    """By channel, over all regions of the rows that have an image."""
    known = training.scores(IMAGE_REGIONS)
    values = known[np.isfinite(known[:, 0, 0])].reshape(-1, known.shape[2])
    mean, scale = values.mean(axis=0), values.std(axis=0) + 1e-6
    # Lists, for arrays would be captured as inputs of the exported graph.
    return keras.layers.Rescaling((1 / scale).tolist(), (-mean / scale).tolist())(regions)


def _attend(keras: Any, queries: Any, values: list[Any], masks: list[Any]) -> tuple[Any, Any]:
    """What each query takes of the values [N,Q,d], and how much of each [N,Q,V]."""
    ops, layers = keras.ops, keras.layers
    seen, mask = ops.concatenate(values, axis=1), ops.concatenate(masks, axis=1)
    asked, offered = layers.Dense(_WIDTH)(queries), layers.Dense(_WIDTH)(seen)
    scores = ops.matmul(asked, ops.transpose(offered, (0, 2, 1))) * (_WIDTH**-0.5)
    shares = ops.softmax(scores - (1 - mask[:, None, :]) * 1e9, axis=-1)
    return ops.matmul(shares, layers.Dense(_WIDTH)(seen)), shares


def _weights(keras: Any, seen: Any, tokens: int, present: Any, places: tuple[int, int]) -> Any:
    """Shares of text and image in what is seen beside the token that is always there."""
    ops = keras.ops
    sums = [ops.sum(seen[:, 1 : 1 + tokens], axis=1), ops.sum(seen[:, 1 + tokens :], axis=1)]
    by_place = dict(zip(places, sums, strict=True))
    nothing = ops.zeros_like(sums[0])
    columns = [by_place.get(place, nothing) for place in range(present.shape[1])]
    shares = ops.stack(columns, axis=1) + _LEAST
    shares = shares * present
    return shares / ops.maximum(ops.sum(shares, axis=1, keepdims=True), _LEAST / 10)


STRATEGY = Attention()
