"""Multi-task: the label's logits of a deep head, calibrated; its other outputs are not served."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.deep import head, kept_inputs
from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph

TOLERANCE: Final = 1e-5


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The features, and the raw scores from which one modality alone is answered."""
    scores = [f"{modality}.scores" for modality in modalities]
    return list(dict.fromkeys([*settings["features"], *scores]))


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax([logits of the label, scores of all modalities], A, b)."""
    presence = Presence(graph, parts.modalities)
    given, sides = kept_inputs(graph, presence, parts, settings["features"])
    found = head(graph, parts, given, sides, ["label"])
    return Fused(presence.calibrated_beside(found["label"], weights))
