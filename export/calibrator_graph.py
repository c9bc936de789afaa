"""The calibrators of a CalibratedClassifierCV in float64: responses in, probabilities out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.isotonic import IsotonicRegression

from export.onnx_graph import INT64, OnnxGraph


def calibrated(graph: OnnxGraph, responses: str, calibrators: Sequence[Any]) -> str:
    """Probabilities [N,K] of responses [N,1], with two labels, or [N,K]."""
    parts = []
    for column, calibrator in enumerate(calibrators):
        own = graph.node("Gather", [responses, graph.places([column])], axis=1)
        isotonic = isinstance(calibrator, IsotonicRegression)
        parts.append((_interpolated if isotonic else _sloped)(graph, own, calibrator))
    if len(parts) == 1:
        other = graph.node("Sub", [graph.doubles(1), parts[0]])
        return graph.node("Concat", [other, parts[0]], axis=1)
    return normalised(graph, graph.node("Concat", parts, axis=1), len(parts))


def normalised(graph: OnnxGraph, values: str, labels: int) -> str:
    """Each row of [N,K] divided by its sum; where that is 0, all labels alike."""
    total = graph.node("ReduceSum", [values, graph.ints("axis.columns", [1])], keepdims=1)
    none = graph.node("Equal", [total, graph.doubles(0)])
    shares = graph.node("Div", [values, graph.node("Where", [none, graph.doubles(1), total])])
    return graph.node("Where", [none, graph.doubles(1 / labels), shares])


def sigmoid(graph: OnnxGraph, values: str) -> str:
    """1 / (1 + exp(-x)): ONNX Runtime's own has few right digits where it is nearly 0."""
    odds = graph.node("Exp", [graph.node("Neg", [values])])
    return graph.node("Reciprocal", [graph.node("Add", [odds, graph.doubles(1)])])


def _sloped(graph: OnnxGraph, values: str, calibrator: Any) -> str:
    scaled = graph.node("Mul", [values, graph.doubles(-calibrator.a_)])
    return sigmoid(graph, graph.node("Add", [scaled, graph.doubles(-calibrator.b_)]))


def _interpolated(graph: OnnxGraph, values: str, calibrator: Any) -> str:
    """On the line that joins the two thresholds around a value; beyond the last, its height."""
    x, y = calibrator.X_thresholds_, calibrator.y_thresholds_
    if len(x) == 1:
        x, y = np.array([x[0], x[0] + 1]), np.repeat(y, 2)
    low = graph.node("Max", [values, graph.doubles(x[0])])
    kept = graph.node("Min", [low, graph.doubles(x[-1])])
    passed = graph.node("GreaterOrEqual", [kept, graph.doubles(x[1:-1][None, :])])
    counted = graph.node("Cast", [passed], to=INT64)
    place = graph.node("ReduceSum", [counted, graph.ints("axis.columns", [1])], keepdims=1)
    slope, start, height = (
        graph.node("Gather", [graph.doubles(each), place])
        for each in (np.diff(y) / np.diff(x), x[:-1], y[:-1])
    )
    beyond = graph.node("Sub", [kept, start])
    return graph.node("Add", [height, graph.node("Mul", [beyond, slope])])
