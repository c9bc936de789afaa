"""Attention: calibrated log-odds of the scores, corrected by a head on words and regions."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.deep import head, kept_inputs
from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph

TOLERANCE: Final = 1e-5


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The raw scores, the words and the regions."""
    scores = [f"{modality}.scores" for modality in modalities]
    return list(dict.fromkeys([*settings["scores"], *scores, *settings["features"]]))


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax([label of the head, scores of all modalities], A, b)."""
    presence = Presence(graph, parts.modalities)
    scores = graph.node("Concat", [presence.kept(name) for name in settings["scores"]], axis=1)
    base = presence.logits("base", scores, weights["base.A"], weights["base.b"])
    given, sides = kept_inputs(graph, presence, parts, settings["features"])
    given["base"], sides["base"] = base, (parts.labels,)
    found = head(graph, parts, given, sides, ["label", "weights"])
    return Fused(presence.calibrated_beside(found["label"], weights), found["weights"])
