"""Concatenation: one RBF SVM over the features of text and image side by side, calibrated."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph
from export.svm_graph import rbf_margins

TOLERANCE: Final = 1e-4
"""An RBF margin in float32 is that far from one in float64."""


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The features, and the raw scores from which one modality alone is answered."""
    scores = [f"{modality}.scores" for modality in modalities]
    return list(dict.fromkeys([*settings["features"], *scores]))


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax([margin, text.scores, image.scores], A, b)."""
    presence = Presence(graph, parts.modalities)
    features = graph.node("Concat", [presence.kept(name) for name in settings["features"]], axis=1)
    margins = rbf_margins(graph, features, weights, float(settings["gamma"]))
    return Fused(presence.calibrated_beside(margins, weights))
