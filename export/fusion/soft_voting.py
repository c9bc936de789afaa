"""Soft voting: the mean of the modalities' calibrated probabilities, calibrated once more."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.fusion.voters import probabilities
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph

TOLERANCE: Final = 1e-5

_SMALLEST_VOTE: Final = 1e-12


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The raw scores."""
    del settings  # soft voting has none that the graph needs.
    return [f"{modality}.scores" for modality in modalities]


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax(ln max(vote, 1e-12), A, b)."""
    del settings
    presence = Presence(graph, parts.modalities)
    shares = presence.shares(weights["votes"])
    counted = [
        graph.node("Mul", [probabilities(graph, presence, modality, weights), share])
        for modality, share in zip(parts.modalities, shares, strict=True)
    ]
    vote = graph.node("Max", [graph.node("Sum", counted), graph.floats("floor", _SMALLEST_VOTE)])
    scores = presence.calibrated(graph.node("Log", [vote]), weights["A"], weights["b"])
    return Fused(scores, graph.node("Concat", shares, axis=1))
