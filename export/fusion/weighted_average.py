"""Weighted average: the modalities' features in a shared space, averaged, and a linear head."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph
from export.svm_graph import standardised

TOLERANCE: Final = 1e-5


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The features, and the raw scores from which one modality alone is answered."""
    scores = [f"{modality}.scores" for modality in modalities]
    return list(dict.fromkeys([*settings["features"], *scores]))


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax([logits, scores of all modalities], A, b)."""
    presence = Presence(graph, parts.modalities)
    features = graph.node("Concat", [presence.kept(name) for name in settings["features"]], axis=1)
    x = standardised(graph, features, weights)
    shares = presence.shares(weights["weights"])
    shared = [
        graph.node("Mul", [graph.node("MatMul", [x, _projection(graph, name, weights)]), share])
        for name, share in zip(parts.modalities, shares, strict=True)
    ]
    head = [graph.floats(name, weights[name]) for name in ("head", "offset")]
    logits = graph.node("Gemm", [graph.node("Sum", shared), *head])
    scores = presence.calibrated_beside(logits, weights)
    return Fused(scores, graph.node("Concat", shares, axis=1))


def _projection(graph: OnnxGraph, modality: str, weights: Weights) -> str:
    return graph.floats(f"{modality}.projection", weights[f"{modality}.projection"])
