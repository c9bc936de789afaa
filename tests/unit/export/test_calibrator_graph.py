"""Calibrators in a graph, where scikit-learn has a rule of its own."""

import numpy as np
from sklearn.isotonic import IsotonicRegression

from export.calibrator_graph import calibrated, normalised
from export.onnx_graph import DOUBLE, FLOAT, OnnxGraph
from inference.graph import Graph


def test_where_no_label_has_anything_all_are_alike() -> None:
    """As in CalibratedClassifierCV; other rows are divided by their sum."""
    graph = OnnxGraph("rest")
    found = normalised(graph, graph.input("x", DOUBLE, ("N", 3)), 3)
    graph.output("y", graph.node("Cast", [found], to=FLOAT), ("N", 3))
    x = np.array([[0.0, 0.0, 0.0], [0.2, 0.0, 0.6]])
    y = Graph(graph.model()).run({"x": x}, ["y"])["y"]
    np.testing.assert_allclose(y, [[1 / 3, 1 / 3, 1 / 3], [0.25, 0.0, 0.75]], atol=1e-7)


def test_isotonic_lines_go_through_their_thresholds() -> None:
    """Steep ones too, and level ones of a single threshold; beyond the ends they are level."""
    steep = IsotonicRegression(out_of_bounds="clip").fit([0, 0.5, 0.5 + 1e-9, 2], [0, 0.1, 0.9, 1])
    level = IsotonicRegression(out_of_bounds="clip").fit([0.5], [0.25])
    x = np.array([[-9.0], [0.0], [0.25], [0.5], [0.5 + 5e-10], [0.5 + 1e-9], [1.0], [9.0]])
    for calibrator in (steep, level):
        graph = OnnxGraph("rest")
        found = calibrated(graph, graph.input("x", DOUBLE, ("N", 1)), [calibrator])
        graph.output("y", graph.node("Cast", [found], to=FLOAT), ("N", 2))
        y = Graph(graph.model()).run({"x": x}, ["y"])["y"]
        second = calibrator.predict(x[:, 0])
        np.testing.assert_allclose(y, np.stack([1 - second, second], axis=1), atol=1e-6)
