"""Logarithmic pool: the mean of the modalities' log-probabilities, calibrated."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.fusion.voters import probabilities
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph

TOLERANCE: Final = 1e-5


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The raw scores."""
    del settings  # the pool has none.
    return [f"{modality}.scores" for modality in modalities]


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """softmax(mean of ln max(p, 1e-12), A, b)."""
    del settings
    presence = Presence(graph, parts.modalities)
    floor = graph.floats("floor", 1e-12)
    counted = []
    for modality in parts.modalities:
        said = graph.node("Max", [probabilities(graph, presence, modality, weights), floor])
        here = presence.number(modality)
        counted.append(graph.node("Mul", [graph.node("Log", [said]), here]))
    number = graph.floats("modalities", len(parts.modalities))
    mean = graph.node("Div", [graph.node("Sum", counted), number])
    return Fused(presence.calibrated(mean, weights["A"], weights["b"]))
