"""The seam of the fusion strategies: what a strategy learns from, and what it must then do.

A strategy is a module with a class for its choices and one for what was fitted, and an instance of
the first that is named `STRATEGY`; `train.fusion.registry` finds it by the module's name. Its
inputs are named as the graphs name their outputs: `text.scores`, `text.embedding`, `image.scores`.
It learns only from `Unseen` scores.

All end alike: they make z[N,Kin] of the inputs that are there, and publish
softmax(z @ A[pattern] + b[pattern]), where pattern = Σ present[m]·2^m. With one modality
the answer is that modality's own calibrated score.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from schemas.verdict import Modality
from train.arrays import save_arrays
from train.calibration import Calibration, Labels, calibrate
from train.class_weights import class_weights, row_weights
from train.settings import ClassWeight
from train.unseen import Fitted, Floats, Unseen

Present = NDArray[np.bool_]
TEXT, IMAGE = 0, 1
MODALITIES: tuple[Modality, ...] = ("text", "image")
"""Of a corpus; strategies take theirs from what they learn from."""
TEXT_EMBEDDING = "text.embedding"
TEXT_TOKENS, TEXT_MASK = "text.tokens", "text.mask"
IMAGE_REGIONS = "image.regions"


@dataclass(frozen=True, slots=True)
class TrainingInputs:
    """What a strategy learns from: rows of one order, scored by what never saw them.

    `inputs[name].scores` float64[N,…], NaN where nothing scored the modality unseen; `labels`
    int64[N]; `present` bool[N,M]: what was scored unseen, by the order of `modalities`; `folds`
    int64[N], grouped, for a strategy's own cross-validation; `targets` by modality int64[N]: what
    the modality itself shows, -1 where nobody says; `class_weight`: whether rows count alike, or
    labels; `alone` by modality: its own calibration, where more rows than these could teach it.
    """

    inputs: Mapping[str, Unseen]
    labels: Labels
    labels_count: int
    present: Present
    folds: NDArray[np.int64]
    seed: int
    modalities: tuple[str, ...]
    targets: Mapping[str, Labels] = field(default_factory=dict)
    class_weight: ClassWeight = "none"
    alone: Mapping[int, Fitted[Calibration]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Every input is of the same rows."""
        assert len({scored.ids for scored in self.inputs.values()}) == 1, "inputs of other rows"

    @property
    def complete(self) -> Present:
        """bool[N]: the rows that have all modalities."""
        return np.asarray(self.present.all(axis=1), np.bool_)

    @property
    def learned_rows(self) -> frozenset[str]:
        """The ids of all rows that have a part in what is fitted on this."""
        return frozenset(self.ids).union(*(fitted.rows for fitted in self.alone.values()))

    @property
    def values(self) -> dict[str, Floats]:
        """Every input's values, by name."""
        return {name: unseen.scores for name, unseen in self.inputs.items()}

    @property
    def ids(self) -> tuple[str, ...]:
        """The rows."""
        return next(iter(self.inputs.values())).ids

    def scores(self, name: str) -> Floats:
        """The values of an input."""
        return self.inputs[name].scores

    def weights(self, rows: NDArray[Any]) -> Floats | None:
        """float64[n], how much each of these rows counts among them; None where all alike."""
        return row_weights(self.labels[rows], self.labels_count, self.class_weight)

    @property
    def label_weights(self) -> Floats | None:
        """float64[K], how much a row of each label counts; None where all alike."""
        return class_weights(self.labels, self.labels_count, self.class_weight)

    def chosen(self, rows: NDArray[np.int64]) -> "TrainingInputs":
        """Some of the rows, and nothing that others taught."""
        return replace(
            self,
            alone={},
            inputs={name: unseen.chosen(rows) for name, unseen in self.inputs.items()},
            labels=self.labels[rows],
            present=self.present[rows],
            folds=self.folds[rows],
            targets={name: targets[rows] for name, targets in self.targets.items()},
        )


class FittedFusion(Protocol):
    """A fitted strategy. `predict` in numpy, or by Keras, is the reference of the graph."""

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,K] that sum to 1; values of absent modalities are never looked at."""

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """What it says besides: `weights` float64[N,M], which sum to 1 where the strategy has
        them; `gaps` float64[N] where it compares, the least difference that a choice hung on.
        """

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """What one post costs in fusion, counted on inputs of any rows."""

    def save(self, folder: Path) -> None:
        """Write strategy.json and weights.npz into the folder, which exists."""


class FusionStrategy(Protocol):
    """A strategy before it is fitted."""

    @property
    def name(self) -> str:
        """As settings, bundles and verdicts name it."""

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """The inputs that it learns from and predicts with."""

    def fit(self, training: TrainingInputs) -> FittedFusion:
        """Learn; equal inputs and seed give equal results."""


@dataclass(frozen=True, slots=True)
class PatternCalibration:
    """`matrix` float64[2^M,Kin,K] and `bias` float64[2^M,K], by presence pattern."""

    matrix: Floats
    bias: Floats

    def logits(self, z: Floats, present: Present) -> Floats:
        """float64[N,K] of z float64[N,Kin]."""
        pattern = patterns(present)
        return np.asarray(
            np.einsum("ni,nik->nk", z, self.matrix[pattern]) + self.bias[pattern], np.float64
        )

    def probabilities(self, z: Floats, present: Present) -> Floats:
        """Their softmax."""
        return np.asarray(softmax(self.logits(z, present), axis=1), np.float64)

    def arrays(self) -> dict[str, Floats]:
        """As weights.npz holds it."""
        return {"A": self.matrix, "b": self.bias}


def patterns(present: Present) -> NDArray[np.int64]:
    """int64[N]: Σ present[m]·2^m."""
    return np.asarray(present @ (1 << np.arange(present.shape[1])), np.int64)


def by_pattern(
    modalities: int, width: int, placed: Mapping[int, tuple[slice, Calibration]]
) -> PatternCalibration:
    """A calibration per pattern, each on its own columns of z; pattern 0 gives equal shares."""
    labels_count = next(iter(placed.values()))[1].matrix.shape[1]
    matrix = np.zeros((1 << modalities, width, labels_count))
    bias = np.zeros((1 << modalities, labels_count))
    for pattern, (columns, calibration) in placed.items():
        matrix[pattern, columns] = calibration.matrix
        bias[pattern] = calibration.bias
    return PatternCalibration(matrix, bias)


def single(training: TrainingInputs, modality: int) -> Calibration:
    """A modality's own scores, calibrated on the rows that have it."""
    if modality in training.alone:
        return training.alone[modality].model
    rows = training.present[:, modality]
    scores = training.scores(f"{training.modalities[modality]}.scores")[rows]
    weights = training.weights(rows)
    return calibrate(scores, training.labels[rows], training.labels_count, weights)


def together(training: TrainingInputs) -> Iterator[tuple[int, Present]]:
    """Each pattern of several modalities, and the rows bool[N] that have at least those."""
    columns = 1 << np.arange(len(training.modalities))
    for pattern in range(1 << len(training.modalities)):
        members = (pattern & columns) != 0
        if members.sum() > 1:
            yield pattern, np.asarray(training.present[:, members].all(axis=1), np.bool_)


def shown(pattern: int, rows: int, modalities: int) -> Present:
    """bool[rows,M]: every row with just the modalities of the pattern."""
    members = (pattern & (1 << np.arange(modalities))) != 0
    return np.tile(members, (rows, 1))


def scores_beside(
    own: Floats, inputs: Mapping[str, Floats], present: Present, modalities: Sequence[str]
) -> Floats:
    """The values [own | each modality's scores]: what `calibrated_beside` is fitted for."""
    scores = [
        where_present(inputs[f"{name}.scores"], present, m) for m, name in enumerate(modalities)
    ]
    return np.concatenate((own, *scores), axis=1)


def calibrated_beside(
    training: TrainingInputs, own: Callable[[NDArray[np.int64], Present], Floats]
) -> PatternCalibration:
    """Several modalities by what `own` makes of them, one alone by its own scores.

    `own(rows, present)` float64[n,W] is what the strategy makes of those rows of `training` as if
    they had the modalities in `present`, by parts that were not fitted on the row.
    """
    modalities = len(training.modalities)
    fitted = {}
    for pattern, having in together(training):
        rows = np.flatnonzero(having)
        values = own(rows, shown(pattern, len(rows), modalities))
        fitted[pattern] = calibrate(
            values, training.labels[rows], training.labels_count, training.weights(rows)
        )
    start = next(iter(fitted.values())).matrix.shape[0]
    placed = {pattern: (slice(0, start), calibration) for pattern, calibration in fitted.items()}
    for modality in range(modalities):
        alone = single(training, modality)
        stop = start + len(alone.matrix)
        placed[1 << modality] = (slice(start, stop), alone)
        start = stop
    return by_pattern(modalities, start, placed)


def score_names(modalities: Sequence[str]) -> tuple[str, ...]:
    """The raw scores of each modality."""
    return tuple(f"{name}.scores" for name in modalities)


def feature_names(modalities: Sequence[str]) -> tuple[str, ...]:
    """The raw scores, and before them the embedding of the text."""
    return (TEXT_EMBEDDING, *score_names(modalities))


def where_present(scores: Floats, present: Present, modality: int) -> Floats:
    """The scores, zeros where the modality is absent, whatever stands there."""
    there = present[:, modality].reshape(-1, *[1] * (scores.ndim - 1))
    return np.where(there, scores, 0.0)


def write(folder: Path, description: Mapping[str, Any], arrays: Mapping[str, Floats]) -> None:
    """Write strategy.json and weights.npz."""
    (folder / "strategy.json").write_bytes(msgspec.json.format(msgspec.json.encode(description)))
    save_arrays(folder / "weights.npz", arrays)
