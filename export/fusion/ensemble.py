"""Ensemble: stacking, which is one matrix on the raw scores for each pattern of presence."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph

TOLERANCE: Final = 1e-5


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The raw scores, in the order in which the matrix takes them."""
    del modalities
    return list(settings["features"])


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax([scores of all modalities], A, b)."""
    presence = Presence(graph, parts.modalities)
    scores = [presence.kept(name) for name in settings["features"]]
    values = graph.node("Concat", scores, axis=1)
    return Fused(presence.calibrated(values, weights["A"], weights["b"]))
