"""TF-IDF and a linear model as a sparse graph: ids and counts in, raw scores out.

The table of a block is idf·coefficients (and idf·embedding) by id, so that
score = Σ tf·table[id] / ‖tf·idf[id]‖, and no matrix of N rows and V columns ever exists.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from export.models_folder import Weights
from export.onnx_graph import FLOAT, INT64, OnnxGraph
from schemas.models import Models

_SMALLEST_NORM = 1e-30
"""A text of unknown words alone scores 0, not 0 / 0."""

_SMALLEST_PROBABILITY = 1e-7
_NORMS = {"l2": "ReduceL2", "l1": "ReduceL1"}


def text_graph(models: Models, weights: Weights, outputs: Sequence[str]) -> bytes:
    """`<block>.ids`, `<block>.counts` → `text.scores` [N,Kt], `text.embedding` [N,D] if asked.

    `text.tokens` [N,L,D] and `text.mask` [N,L], if asked, take `tokens.ids` besides.
    """
    graph = OnnxGraph("text")
    columns = _columns(weights, outputs)
    summed = _summed(graph, models, weights, columns)
    scores_width = len(weights["coefficients"])
    embedding_width = columns.shape[1] - scores_width
    parts = [summed, ""]
    if embedding_width:
        sizes = graph.ints("sizes", [scores_width, embedding_width])
        parts = list(graph.nodes("Split", [summed, sizes], 2, axis=1))
        graph.output("text.embedding", parts[1], ("N", embedding_width))
    scores = graph.node("Add", [parts[0], graph.floats("intercepts", weights["intercepts"])])
    width = scores_width
    if "slopes" in weights:
        scores, width = _calibrated(graph, scores, weights["slopes"], weights["offsets"])
    graph.output("text.scores", scores, ("N", width))
    if "text.tokens" in outputs:
        _tokens(graph, models, weights)
    return graph.model()


def _columns(weights: Weights, outputs: Sequence[str]) -> NDArray[np.float64]:
    """By term: what it adds to each raw score, and to each side of the embedding."""
    coefficients: NDArray[np.float64] = weights["coefficients"].T
    if "text.embedding" not in outputs:
        return coefficients
    return np.hstack([coefficients, weights["embedding"]])


def _summed(
    graph: OnnxGraph, models: Models, weights: Weights, columns: NDArray[np.float64]
) -> str:
    term_frequency = _term_frequency(models)
    start = 0
    sums: list[str] = []
    for block in models.text:
        idf = weights[f"{block.name}.idf"]
        tf = term_frequency(graph, graph.input(f"{block.name}.counts", FLOAT, ("N", "T")))
        part = columns[start : start + len(idf)]
        sums.append(_block(graph, block.name, tf, idf, part, models.text_norm))
        start += len(idf)
    return sums[0] if len(sums) == 1 else graph.node("Sum", sums)


def _term_frequency(models: Models) -> Callable[[OnnxGraph, str], str]:
    if models.binary_tf:
        return _once
    return _logarithmic if models.sublinear_tf else _plain


def _once(graph: OnnxGraph, counts: str) -> str:
    """1, however often."""
    return graph.node("Sign", [counts])


def _plain(graph: OnnxGraph, counts: str) -> str:
    del graph
    return counts


def _logarithmic(graph: OnnxGraph, counts: str) -> str:
    """1 + ln(count)."""
    return graph.node("Add", [graph.node("Log", [counts]), graph.floats("one", 1)])


def _block(
    graph: OnnxGraph,
    name: str,
    tf: str,
    idf: NDArray[np.float64],
    part: NDArray[np.float64],
    norm: str,
) -> str:
    """One block's share of the sums, divided by the block's own norm."""
    ids = graph.input(f"{name}.ids", INT64, ("N", "T"))
    axis = graph.ints("axis", [1])
    table = np.vstack([idf[:, None] * part, np.zeros((1, part.shape[1]))])
    rows = graph.node("Gather", [graph.floats(f"{name}.table", table), ids])
    product = graph.node("MatMul", [graph.node("Unsqueeze", [tf, axis]), rows])
    summed = graph.node("Squeeze", [product, axis])
    if norm == "none":
        return summed
    weighted = graph.node("Mul", [tf, _weights(graph, name, idf, ids)])
    length = graph.node(_NORMS[norm], [weighted, axis], keepdims=1)
    smallest = graph.floats("smallest", _SMALLEST_NORM)
    return graph.node("Div", [summed, graph.node("Max", [length, smallest])])


def _weights(graph: OnnxGraph, name: str, idf: NDArray[np.float64], ids: str) -> str:
    """The idf of each id, 0 of the pad; where all are 1, without another table."""
    if bool((idf == 1).all()):
        known = graph.node("Less", [ids, graph.ints(f"{name}.pad", len(idf))])
        return graph.node("Cast", [known], to=FLOAT)
    return graph.node("Gather", [graph.floats(f"{name}.idf", np.append(idf, 0.0)), ids])


def _calibrated(
    graph: OnnxGraph, margins: str, slopes: NDArray[np.float64], offsets: NDArray[np.float64]
) -> tuple[str, int]:
    """Logarithms of the mean probabilities of classifiers that calibrate themselves."""
    classifiers, width = slopes.shape
    scaled = graph.node("Mul", [margins, graph.floats("slopes", -slopes.ravel())])
    logits = graph.node("Add", [scaled, graph.floats("offsets", -offsets.ravel())])
    shape = graph.ints("classifiers", [-1, classifiers, width])
    logits = graph.node("Reshape", [logits, shape])
    if width == 1:
        # 1 - p has no digits left where p is nearly 1.
        logits = graph.node("Concat", [graph.node("Neg", [logits]), logits], axis=2)
    # ONNX Runtime's Sigmoid has few right digits where it is nearly 0, and a logarithm shows that.
    odds = graph.node("Exp", [graph.node("Neg", [logits])])
    p = graph.node("Reciprocal", [graph.node("Add", [odds, graph.floats("whole", 1)])])
    if width > 1:
        total = graph.node("ReduceSum", [p, graph.ints("labels.axis", [2])], keepdims=1)
        p = graph.node("Div", [p, graph.node("Max", [total, graph.floats("least", 1e-30)])])
    mean = graph.node("ReduceMean", [p, graph.ints("classifiers.axis", [1])], keepdims=0)
    floor = graph.floats("floor", _SMALLEST_PROBABILITY)
    return graph.node("Log", [graph.node("Max", [mean, floor])]), max(2, width)


def _tokens(graph: OnnxGraph, models: Models, weights: Weights) -> None:
    """A row of the table for each id, and whether it is one, for the pad is none."""
    assert models.tokens is not None, "models without tokens have no such output"
    table, length = weights["tokens"], models.tokens.length
    ids = graph.input("tokens.ids", INT64, ("N", length))
    padded = np.vstack([table, np.zeros((1, table.shape[1]))])
    rows = graph.node("Gather", [graph.floats("tokens.table", padded), ids])
    graph.output("text.tokens", rows, ("N", length, table.shape[1]))
    known = graph.node("Less", [ids, graph.ints("tokens.pad", len(table))])
    graph.output("text.mask", graph.node("Cast", [known], to=FLOAT), ("N", length))
