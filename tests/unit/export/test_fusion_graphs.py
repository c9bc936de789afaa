"""Every strategy's graph against what training computes, without the models before it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.fusion import seam
from inference.graph import Graph
from inference.pictures import SeenLayout, pictures
from tests.unit.train.fusion_rows import LABELS, absent_as, fitted_strategy, fusion_inputs
from train.fusion.registry import names
from train.fusion.seam import FittedFusion, Present

STRATEGIES = names()
pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PATTERNS = [(True, False), (False, True), (True, True), (False, False)]


@dataclass(frozen=True, slots=True)
class Exported:
    """A fitted strategy, and its graph."""

    fitted: FittedFusion
    graph: Graph
    tolerance: float

    def run(self, inputs: Mapping[str, NDArray[Any]], present: Present) -> dict[str, NDArray[Any]]:
        """Every output of the graph, of the inputs that it takes."""
        taken = {
            name: inputs[name].astype(np.float32) for name in self.graph.inputs if name != "present"
        }
        return self.graph.run({**taken, "present": present}, list(self.graph.outputs))


def export_strategy(name: str, folder: Path) -> Exported:
    """Fit, save, and make the graph as `export.bundle` does."""
    fitted = fitted_strategy(name)
    folder.mkdir()
    fitted.save(folder)
    chosen = seam.strategy(name)
    settings = json.loads((folder / "strategy.json").read_bytes())
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        weights = {key: arrays[key] for key in arrays.files}
    sides = {key: values.shape[1:] for key, values in fusion_inputs(1, 0)[0].items()}
    parts = seam.Parts(("text", "image"), LABELS, sides, folder)
    graph = Graph(seam.fusion_graph(chosen, parts, settings, weights))
    return Exported(fitted, graph, chosen.TOLERANCE)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Exported]:
    """Every strategy that training knows, exported once."""
    root = tmp_path_factory.mktemp("fusion")
    return {name: export_strategy(name, root / name) for name in STRATEGIES}


def rows_of_all_patterns(count: int, seed: int) -> tuple[dict[str, NDArray[Any]], Present]:
    """Inputs in float32, as the graphs before fusion give them, and every pattern of presence."""
    inputs, _ = fusion_inputs(count, seed)
    present = np.array(PATTERNS)[np.arange(count) % len(PATTERNS)]
    return {name: values.astype(np.float32) for name, values in inputs.items()}, present


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_graph_says_what_training_computes(exported: dict[str, Exported], name: str) -> None:
    """In every pattern of presence; rows that hang on a comparison are left out, and few."""
    inputs, present = rows_of_all_patterns(800, seed=12)
    one = exported[name]
    found = one.run(inputs, present)
    values = {key: array.astype(np.float64) for key, array in inputs.items()}
    beside = one.fitted.beside(values, present)
    sure = beside.get("gaps", np.full(800, np.inf)) > 2 * one.tolerance
    assert sure.mean() > 0.99
    wanted = one.fitted.predict(values, present)
    assert np.abs(found["scores"] - wanted)[sure].max() < one.tolerance
    assert ("weights" in found) == ("weights" in beside)
    if "weights" in found:
        assert np.abs(found["weights"] - beside["weights"])[sure].max() < one.tolerance


@pytest.mark.parametrize("name", STRATEGIES)
def test_weights_are_shares_of_what_is_present(exported: dict[str, Exported], name: str) -> None:
    """They sum to 1, and what is absent has none."""
    inputs, present = rows_of_all_patterns(80, seed=3)
    found = exported[name].run(inputs, present)
    assert np.allclose(found["scores"].sum(axis=1), 1)
    if "weights" in found:
        assert (found["weights"][~present] == 0).all()
        here = present.any(axis=1)
        assert np.allclose(found["weights"][here].sum(axis=1), 1)


@given(
    garbage=st.sampled_from([np.nan, np.inf, -1e30, 7.0]),
    shown=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=9),
    name=st.sampled_from(STRATEGIES),
)
def test_garbage_in_absent_inputs_changes_no_bit(
    exported: dict[str, Exported], garbage: float, shown: list[tuple[bool, bool]], name: str
) -> None:
    """The graph selects, and never multiplies by a mask: 0 times NaN is NaN."""
    inputs, _ = fusion_inputs(len(shown), seed=2)
    present = np.array(shown)
    spoilt, clean = (absent_as(value, inputs, present) for value in (garbage, 0.0))
    found, expected = (exported[name].run(each, present) for each in (spoilt, clean))
    assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)


@pytest.mark.parametrize("name", STRATEGIES)
def test_pictures_that_were_seen_before_change_no_bit(
    exported: dict[str, Exported], name: str
) -> None:
    """One vector of a picture has all that fusion takes of it: scores, embedding or regions."""
    inputs, present = rows_of_all_patterns(40, seed=5)
    one = exported[name]
    taken = {key: spec for key, spec in one.graph.inputs.items() if key.startswith("image.")}
    assert taken
    rows = np.flatnonzero(present[:, 1])
    images = [np.zeros((1, 1, 3), np.uint8) if here else None for here in present[:, 1]]
    layout = SeenLayout(taken)
    fresh = absent_as(0.0, inputs, present)
    seen = dict(layout.gathered(pictures(images, [None] * 40), fresh))
    assert sorted(seen) == rows.tolist()
    again = {
        key: np.zeros_like(values) if key in taken else values for key, values in fresh.items()
    }
    layout.spread(pictures([None] * 40, [seen.get(row) for row in range(40)]), again)
    found, expected = (one.run(each, present) for each in (again, fresh))
    assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)


@given(
    shown=st.lists(st.sampled_from(PATTERNS), min_size=2, max_size=17),
    name=st.sampled_from(STRATEGIES),
)
def test_batch_mates_change_nothing(
    exported: dict[str, Exported], shown: list[tuple[bool, bool]], name: str
) -> None:
    """Alone and among others a row scores the same within float32."""
    inputs, _ = fusion_inputs(len(shown), seed=8)
    present = np.array(shown)
    together = exported[name].run(inputs, present)["scores"]
    for row in range(len(shown)):
        mine = {key: values[[row]] for key, values in inputs.items()}
        alone = exported[name].run(mine, present[[row]])["scores"]
        assert np.abs(alone - together[row]).max() < 2e-6
