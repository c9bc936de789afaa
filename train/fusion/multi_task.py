"""Multi-task: a small deep head that also says what each modality itself shows.

    x[m]   = the modality's inputs, standardised, zeros where it is absent
    h      = relu(x @ W1 + presence @ P + b1), dropout, relu(h @ W2 + b2)
    logits = h @ W[target] + the scores @ V[target], for label, text label and image label

The extra targets (Caruana 1997) are taught where the corpus has them, and are no inputs: what the
head reads are scores of rows that their model never saw, and the text's embedding, which no label
has a part in. Modalities are dropped at random in training (Neverova et al. 2016). The logits of
the label are calibrated on rows of folds that the head was not fitted on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.calibration import Labels
from train.fusion.deep import (
    LABEL,
    PRESENT,
    Course,
    Learner,
    Lesson,
    answers,
    masked,
    multiply_adds,
    save_head,
)
from train.fusion.features import Features
from train.fusion.seam import (
    FittedFusion,
    PatternCalibration,
    Present,
    TrainingInputs,
    calibrated_beside,
    feature_names,
    score_names,
    scores_beside,
    write,
)
from train.quiet_keras import load
from train.unseen import Floats

_HIDDEN: Final = (32, 16)
_DROPOUT: Final = 0.4
_EXTRA_WEIGHT: Final = 0.3
_EPOCHS: Final = 25
_RATE: Final = 2e-3
_WEIGHT_DECAY: Final = 0.1
_MODALITY_DROPOUT: Final = 0.15
_FOLDS: Final = 3


@dataclass(frozen=True, slots=True)
class FittedMultiTask:
    """The head, what it takes, and the calibration by pattern."""

    features: Features
    head: Any
    calibration: PatternCalibration

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K]; values of absent modalities are never looked at."""
        kept = self.features.kept(inputs, present)
        logits = answers(self.head, kept, present)[LABEL]
        z = scores_beside(logits, inputs, present, self.features.modalities)
        return self.calibration.probabilities(z, present)

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Nothing."""
        del inputs, present
        return {}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """The head, and what the embedding takes."""
        last = self.calibration.matrix[0].size
        return int(multiply_adds(self.head) + last + self.features.multiply_adds(inputs))

    def save(self, folder: Path) -> None:
        """Write strategy.json, weights.npz and head.keras."""
        write(folder, {"features": self.features.names}, self.calibration.arrays())
        save_head(self.head, folder)


@dataclass(frozen=True, slots=True)
class MultiTask:
    """Fits a head per fold for the calibration, then the one on all rows."""

    name: str = "multi-task"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The raw scores and the text's embedding."""
        return feature_names(modalities)

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Equal inputs and seed give equal results."""
        features = Features.fit(feature_names(training.modalities), training)
        kept = features.kept(training.values, training.present)
        lesson = Lesson(kept, training.present, _targets(training))
        course = Course(
            _EPOCHS,
            _RATE,
            _WEIGHT_DECAY,
            {name: 1.0 if name == LABEL else _EXTRA_WEIGHT for name in lesson.targets},
            _MODALITY_DROPOUT,
            training.label_weights,
        )
        learner = Learner(partial(_head, features, lesson), course, training.seed)
        folds = training.folds % _FOLDS
        parts = {fold: learner.fit(lesson.chosen(folds != fold)) for fold in np.unique(folds)}

        def own(rows: NDArray[np.int64], present: Present) -> Floats:
            values = {name: array[rows] for name, array in training.values.items()}
            shown = Lesson(features.kept(values, present), present, {})
            logits = np.empty((len(rows), training.labels_count))
            for fold, part in parts.items():
                here = folds[rows] == fold
                mine = shown.chosen(here)
                logits[here] = answers(part, mine.inputs, mine.present)[LABEL]
            return logits

        calibration = calibrated_beside(training, own)
        return FittedMultiTask(features, learner.fit(lesson), calibration)


def _targets(training: TrainingInputs) -> dict[str, Labels]:
    """The label, and what a modality shows where that is known of two kinds at least."""
    told = {
        name: targets
        for name, targets in training.targets.items()
        if len(np.unique(targets[targets >= 0])) > 1
    }
    return {LABEL: training.labels, **told}


def _head(features: Features, lesson: Lesson) -> Any:
    _, keras = load()
    layers = keras.layers
    inputs = {
        name: keras.Input(values.shape[1:], name=name) for name, values in lesson.inputs.items()
    }
    inputs[PRESENT] = keras.Input((len(features.modalities),), name=PRESENT)
    scaled = {
        name: _standardised(keras, features, name, inputs[name], inputs[PRESENT])
        for name in features.names
    }
    x = layers.Concatenate()([*scaled.values(), inputs[PRESENT]])
    x = layers.Dropout(_DROPOUT)(x)
    for width in _HIDDEN:
        x = layers.Dropout(_DROPOUT / 2)(layers.Dense(width, activation="relu")(x))
    scores = [scaled[name] for name in score_names(features.modalities)]
    x = layers.Concatenate()([x, *scores])
    outputs = {
        name: layers.Dense(int(targets.max()) + 1, name=f"{name}_logits")(x)
        for name, targets in lesson.targets.items()
    }
    return keras.Model(inputs, outputs)


def _standardised(keras: Any, features: Features, name: str, tensor: Any, present: Any) -> Any:
    """An input on a scale of its own, zeros where its modality is absent."""
    mean, scale = (values[features.place(name)] for values in (features.mean, features.scale))
    # Lists, for arrays would be captured as inputs of the exported graph.
    scaled = keras.layers.Rescaling((1 / scale).tolist(), (-mean / scale).tolist())(tensor)
    return masked(keras, scaled, present, features.modality(name))


STRATEGY = MultiTask()
