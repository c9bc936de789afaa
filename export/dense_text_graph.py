"""A brought pipeline that is not linear as a graph: ids and counts in, raw scores out.

The table of the block gives each term's share of every feature, so features are sums, as the scores
of a linear model are; but in float64, and what the pipeline does after them is in the graph too.
"""

from typing import Any, Final

import numpy as np

from export.models_folder import Weights
from export.onnx_graph import DOUBLE, FLOAT, INT64, OnnxGraph
from export.rest_graph import rest_scores
from schemas.models import Models, RestScores

_NORMS: Final = {"l2": "ReduceL2", "l1": "ReduceL1"}
_SMALLEST_NORM: Final = 1e-30


def dense_text_graph(models: Models, weights: Weights, rest: Any, kind: RestScores) -> bytes:
    """`<block>.ids`, `<block>.counts` → `text.scores` [N,Kt].

    `rest` is the fitted scikit-learn Pipeline of `text/rest.skops`.
    """
    graph = OnnxGraph("text")
    [block] = models.text
    ids = graph.input(f"{block.name}.ids", INT64, ("N", "T"))
    counts = graph.input(f"{block.name}.counts", FLOAT, ("N", "T"))
    frequency = _frequency(graph, models, graph.node("Cast", [counts], to=DOUBLE))
    weighted = _weighted(graph, ids, frequency, weights[f"{block.name}.idf"], models.text_norm)
    table = np.vstack([weights["coefficients"].T, np.zeros(len(weights["coefficients"]))])
    rows = graph.node("Gather", [graph.doubles(table), ids])
    columns = graph.ints("axis.terms", [1])
    summed = graph.node("MatMul", [graph.node("Unsqueeze", [weighted, columns]), rows])
    features = graph.node(
        "Add", [graph.node("Squeeze", [summed, columns]), graph.doubles(weights["intercepts"])]
    )
    scores, width = rest_scores(graph, rest, features, kind, weights["order"].tolist())
    graph.output("text.scores", graph.node("Cast", [scores], to=FLOAT), ("N", width))
    return graph.model()


def _frequency(graph: OnnxGraph, models: Models, counts: str) -> str:
    if models.binary_tf:
        return graph.node("Sign", [counts])
    if models.sublinear_tf:
        return graph.node("Add", [graph.node("Log", [counts]), graph.doubles(1)])
    return counts


def _weighted(graph: OnnxGraph, ids: str, frequency: str, idf: Any, norm: str) -> str:
    """What the vectoriser gives for each id, 0 for the pad."""
    padded = graph.doubles(np.append(idf, 0.0))
    values = graph.node("Mul", [frequency, graph.node("Gather", [padded, ids])])
    if norm == "none":
        return values
    length = graph.node(_NORMS[norm], [values, graph.ints("axis.columns", [1])], keepdims=1)
    return graph.node("Div", [values, graph.node("Max", [length, graph.doubles(_SMALLEST_NORM)])])
