"""Single estimators in a graph: what float64 and float32 are asked for, and what is left out."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from export.converted import boosted_margins, class_probabilities, forest_probabilities
from export.onnx_graph import DOUBLE, FLOAT, OnnxGraph
from inference.graph import Graph


def _graph(convert: Callable[[OnnxGraph, Any, str], str], model: Any, width: int) -> bytes:
    graph = OnnxGraph("rest")
    found = convert(graph, model, graph.input("x", DOUBLE, ("N", model.n_features_in_)))
    graph.output("y", graph.node("Cast", [found], to=FLOAT), ("N", width))
    return graph.model()


TREES = [
    DecisionTreeClassifier(random_state=1),
    RandomForestClassifier(2, bootstrap=False, random_state=1),
]


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_compares_what_float32_leaves_of_a_feature(tree: Any) -> None:
    """As scikit-learn does: a trifle above the threshold is at it, and goes left."""
    tree.fit(np.array([[0.0], [1.0]]), ["left", "right"])
    x = np.array([[0.5 - 1e-3], [0.5 + 1e-12], [0.5 + 1e-3]])
    wanted = tree.predict_proba(x)
    assert wanted[1, 0] == 1
    found = Graph(_graph(forest_probabilities, tree, 2)).run({"x": x}, ["y"])["y"]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("labels", [2, 3])
def test_what_scores_do_not_rest_on_is_left_out(labels: int) -> None:
    """The converter gives labels too, as strings: nothing of that is in the graph."""
    chance = np.random.default_rng(1)
    x, y = chance.normal(size=(60, 4)), np.array(list("abc"))[chance.integers(0, labels, 60)]
    perceptrons = MLPClassifier((4,), tol=0.1, random_state=1).fit(x, y)
    content = _graph(class_probabilities, perceptrons, labels)
    model = onnx.load_from_string(content)
    assert not {"ArgMax", "ArrayFeatureExtractor"} & {node.op_type for node in model.graph.node}
    assert onnx.TensorProto.STRING not in {each.data_type for each in model.graph.initializer}
    found = Graph(content).run({"x": x}, ["y"])["y"]
    np.testing.assert_allclose(found, perceptrons.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("labels", [2, 3])
def test_boosting_gives_its_margins(labels: int) -> None:
    """One with two labels, as its decision function."""
    chance = np.random.default_rng(1)
    x, y = chance.normal(size=(60, 4)), chance.integers(0, labels, 60)
    boosted = GradientBoostingClassifier(n_estimators=5, random_state=1).fit(x, y)
    wanted = boosted.decision_function(x).reshape(len(x), -1)
    content = _graph(boosted_margins, boosted, wanted.shape[1])
    found = Graph(content).run({"x": x}, ["y"])["y"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)
