"""Classifiers that compare a post with rows of their training, as products in float64.

An SVC of any kernel gives the margins of `decision_function`: one with two labels, else one by pair
of labels, or, of the shape `ovr`, votes and confidences by label. Neighbours give probabilities.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from export.onnx_graph import DOUBLE, OnnxGraph

Floats = NDArray[np.float64]


def svc_margins(graph: OnnxGraph, svc: Any, features: str) -> str:
    """Margins float64 [N,1], [N,K(K-1)/2] or [N,K] of the features float64 [N,D]."""
    kernel = _KERNELS[svc.kernel](graph, svc, features, _dense(svc.support_vectors_))
    coefficients = pair_coefficients(_dense(svc.dual_coef_), svc.n_support_.tolist())
    products = graph.node("MatMul", [kernel, graph.doubles(coefficients.T)])
    margins = graph.node("Add", [products, graph.doubles(svc.intercept_)])
    if len(svc.classes_) == 2 or svc.decision_function_shape == "ovo":
        return margins
    return _by_label(graph, margins, len(svc.classes_))


def neighbour_probabilities(graph: OnnxGraph, model: Any, features: str) -> str:
    """Probabilities [N,K]: the share of each label among the nearest rows by Euclid's distance.

    Of ‖x - s‖² the part ‖x‖² is the same for all rows s, and left out.
    """
    rows = _dense(model._fit_X)  # noqa: SLF001 - scikit-learn has no other name for it.
    products = graph.node("MatMul", [features, graph.doubles(-2 * rows.T)])
    distances = graph.node("Add", [products, graph.doubles(np.square(rows).sum(axis=1))])
    count = graph.places([model.n_neighbors])
    _, nearest = graph.nodes("TopK", [distances, count], 2, axis=1, largest=0, sorted=0)
    labels = graph.doubles(np.eye(len(model.classes_))[model._y])  # noqa: SLF001 - as above.
    found = graph.node("Gather", [labels, nearest])
    return graph.node("ReduceMean", [found, graph.places([1])], keepdims=0)


def pair_coefficients(dual: Floats, counts: Sequence[int]) -> Floats:
    """float64[pairs,S]: by pair of labels what each support vector counts.

    `dual` float64[K-1,S] as libsvm has it: a vector of label i has its coefficient against j in
    row j, or j - 1 where j comes after i.
    """
    if len(dual) == 1:
        return dual
    ends = np.cumsum(counts)
    rows = [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
    pairs = [(i, j) for i in range(len(rows)) for j in range(i + 1, len(rows))]
    found = np.zeros((len(pairs), dual.shape[1]))
    for pair, (i, j) in enumerate(pairs):
        found[pair, rows[i]] = dual[j - 1, rows[i]]
        found[pair, rows[j]] = dual[i, rows[j]]
    return found


def _dense(values: Any) -> Floats:
    """Of a fit on sparse features they are sparse."""
    return np.asarray(values.toarray() if sparse.issparse(values) else values, np.float64)


def _linear(graph: OnnxGraph, svc: Any, features: str, vectors: Floats) -> str:
    del svc  # it has no settings.
    return graph.node("MatMul", [features, graph.doubles(vectors.T)])


def _affine(graph: OnnxGraph, svc: Any, features: str, vectors: Floats) -> str:
    """γ·x·s + c."""
    products = graph.node("MatMul", [features, graph.doubles(svc._gamma * vectors.T)])  # noqa: SLF001 - scikit-learn has no other name for it.
    return graph.node("Add", [products, graph.doubles(svc.coef0)])


def _polynomial(graph: OnnxGraph, svc: Any, features: str, vectors: Floats) -> str:
    affine = _affine(graph, svc, features, vectors)
    return graph.node("Pow", [affine, graph.doubles(svc.degree)])


def _sigmoid(graph: OnnxGraph, svc: Any, features: str, vectors: Floats) -> str:
    return graph.node("Tanh", [_affine(graph, svc, features, vectors)])


def _rbf(graph: OnnxGraph, svc: Any, features: str, vectors: Floats) -> str:
    """exp(-γ‖x - s‖²) = exp(2γ x·s - γ‖s‖² - γ‖x‖²)."""
    gamma = svc._gamma  # noqa: SLF001 - as above.
    products = graph.node("MatMul", [features, graph.doubles(2 * gamma * vectors.T)])
    squares = graph.node("ReduceSumSquare", [features, graph.ints("axis.columns", [1])], keepdims=1)
    own = graph.node("Mul", [squares, graph.doubles(gamma)])
    norms = graph.doubles(gamma * np.square(vectors).sum(axis=1))
    lengths = graph.node("Add", [own, norms])
    return graph.node("Exp", [graph.node("Sub", [products, lengths])])


_KERNELS = {"linear": _linear, "poly": _polynomial, "sigmoid": _sigmoid, "rbf": _rbf}


def _by_label(graph: OnnxGraph, margins: str, labels: int) -> str:
    """Votes, and beside them confidences below half a vote: scikit-learn's shape `ovr`.

    A margin of 0 and more is a vote for the first of its pair, one below 0 for the second.
    """
    signs = _signs(labels)
    lost = graph.node("Cast", [graph.node("Less", [margins, graph.doubles(0)])], to=DOUBLE)
    moved = graph.node("MatMul", [lost, graph.doubles(-signs)])
    votes = graph.node("Add", [moved, graph.doubles(np.maximum(signs, 0).sum(axis=0))])
    confidences = graph.node("MatMul", [margins, graph.doubles(signs)])
    size = graph.node("Add", [graph.node("Abs", [confidences]), graph.doubles(1)])
    squeezed = graph.node("Div", [confidences, graph.node("Mul", [size, graph.doubles(3)])])
    return graph.node("Add", [votes, squeezed])


def _signs(labels: int) -> Floats:
    """float64[pairs,K]: 1 for the first of a pair, -1 for the second."""
    pairs = [(i, j) for i in range(labels) for j in range(i + 1, labels)]
    signs = np.zeros((len(pairs), labels))
    for pair, (i, j) in enumerate(pairs):
        signs[pair, i], signs[pair, j] = 1.0, -1.0
    return signs
