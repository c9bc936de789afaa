"""Sound, a third modality: a column of `present` for every strategy, those of others included."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.fusion import seam
from inference.graph import Graph
from tests.outside.export import log_pool
from tests.outside.train.log_pool import STRATEGY as LOG_POOL
from tests.unit.train.fusion_rows import LABELS, fusion_inputs
from train.calibration import calibrate
from train.fusion.registry import names, strategies
from train.fusion.seam import FittedFusion, Present, TrainingInputs
from train.unseen import Floats, Unseen

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

MODALITIES = ("text", "image", "sound")
PATTERNS = np.array(list(product((False, True), repeat=3)))
# Without `attention`: it takes as long as all others, and corrects what `ensemble` says.
STRATEGIES = (*(name for name in names() if name != "attention"), LOG_POOL.name)
OWN = {LOG_POOL.name: log_pool}


def inputs_of(rows: int, seed: int) -> tuple[dict[str, Floats], NDArray[np.int64]]:
    """Text and image as ever, and five scores of a sound that tells four labels in five."""
    inputs, labels = fusion_inputs(rows, seed)
    chance = np.random.default_rng(seed + 100)
    told = np.eye(LABELS, 5)[labels] * (chance.random(rows) < 0.8)[:, None]
    sound = told * 4 + chance.normal(size=(rows, 5))
    values = {**inputs, "sound.scores": sound}
    return {name: array.astype(np.float32).astype(float) for name, array in values.items()}, labels


def absent_as(value: float, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
    """The inputs, with `value` wherever a modality is absent."""
    spoilt = {name: values.copy() for name, values in inputs.items()}
    for name, values in spoilt.items():
        values[~present[:, MODALITIES.index(name.partition(".")[0])]] = value
    return spoilt


def training() -> TrainingInputs:
    """A modality is absent from one row in ten."""
    inputs, labels = inputs_of(400, 1)
    present = np.random.default_rng(1).random((400, 3)) < 0.9
    present[~present.any(axis=1)] = True
    ids = tuple(str(number) for number in range(400))
    absent = absent_as(np.nan, inputs, present)
    unseen = {name: Unseen(ids, values) for name, values in absent.items()}
    return TrainingInputs(unseen, labels, LABELS, present, np.arange(400) % 3, 5, MODALITIES)


@dataclass(frozen=True, slots=True)
class Served:
    """A fitted strategy, and its graph as ONNX Runtime runs it."""

    fitted: FittedFusion
    graph: Graph
    tolerance: float

    def run(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, NDArray[Any]]:
        """Every output."""
        taken = {n: inputs[n].astype(np.float32) for n in self.graph.inputs if n != "present"}
        return self.graph.run({**taken, "present": present}, list(self.graph.outputs))


def serve(name: str, folder: Path) -> Served:
    """Fit, save, and make the graph, by nothing that is written for three."""
    [chosen] = strategies([name], [LOG_POOL])
    fitted = chosen.fit(training())
    folder.mkdir()
    fitted.save(folder)
    exported = seam.strategy(name, OWN)
    settings = json.loads((folder / "strategy.json").read_bytes())
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        weights = {key: arrays[key] for key in arrays.files}
    sides = {key: values.shape[1:] for key, values in inputs_of(1, 0)[0].items()}
    parts = seam.Parts(MODALITIES, LABELS, sides, folder)
    graph = seam.fusion_graph(exported, parts, settings, weights)
    return Served(fitted, Graph(graph), exported.TOLERANCE)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Served]:
    """Every strategy, and the one from outside."""
    root = tmp_path_factory.mktemp("three")
    return {name: serve(name, root / name) for name in STRATEGIES}


def rows_of_all_patterns(count: int, seed: int) -> tuple[dict[str, Floats], Present]:
    """Inputs, and each pattern of three columns in turn, the empty one too."""
    return inputs_of(count, seed)[0], PATTERNS[np.arange(count) % len(PATTERNS)]


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_graph_says_what_training_computes(served: dict[str, Served], name: str) -> None:
    """In every pattern of three; rows that hang on a comparison are left out, and few."""
    inputs, present = rows_of_all_patterns(800, seed=12)
    one = served[name]
    found = one.run(inputs, present)
    beside = one.fitted.beside(inputs, present)
    sure = beside.get("gaps", np.full(800, np.inf)) > 2 * one.tolerance
    assert sure.mean() > 0.99
    wanted = one.fitted.predict(inputs, present)
    assert np.abs(found["scores"] - wanted)[sure].max() < one.tolerance
    assert found["scores"].sum(axis=1) == pytest.approx(np.ones(800), abs=1e-5)
    if "weights" in found:
        assert np.abs(found["weights"] - beside["weights"])[sure].max() < one.tolerance


@pytest.mark.parametrize("name", STRATEGIES)
def test_sound_alone_is_answered_by_its_own_calibrated_score(
    served: dict[str, Served], name: str
) -> None:
    """As text alone and image alone are."""
    lesson, (inputs, _) = training(), inputs_of(40, 4)
    own = lesson.present[:, 2]
    alone = calibrate(lesson.scores("sound.scores")[own], lesson.labels[own], LABELS)
    found = served[name].run(inputs, np.tile([False, False, True], (40, 1)))["scores"]
    assert found == pytest.approx(alone.probabilities(inputs["sound.scores"]), abs=1e-5)


@pytest.mark.parametrize("name", STRATEGIES)
def test_three_know_more_than_two(served: dict[str, Served], name: str) -> None:
    """On new rows; the sound is heard, not carried along."""
    inputs, labels = inputs_of(1500, seed=9)
    accuracy = {}
    for shown in ((True, True, False), (True, True, True)):
        found = served[name].run(inputs, np.tile(shown, (1500, 1)))["scores"]
        accuracy[shown] = (found.argmax(axis=1) == labels).mean()
    assert accuracy[True, True, True] > accuracy[True, True, False]


@pytest.mark.parametrize("name", STRATEGIES)
def test_garbage_in_absent_inputs_changes_no_bit(served: dict[str, Served], name: str) -> None:
    """Whatever stands where there is no sound is never looked at."""
    inputs, present = rows_of_all_patterns(64, seed=2)
    spoilt, clean = (absent_as(value, inputs, present) for value in (np.nan, 0.0))
    found, expected = (served[name].run(each, present) for each in (spoilt, clean))
    assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)
