"""Soft voting: the mean of the modalities' calibrated probabilities, calibrated once more."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from export.fusion.presence import Presence
from export.fusion.seam import Parts
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph
from schemas.verdict import Modality

TOLERANCE: Final = 1e-5

_SMALLEST_VOTE: Final = 1e-12
_NO_VOTES: Final = 1e-30
"""Divides where nothing is present: the vote is 0, and calibration makes the prior of it."""


def inputs(settings: Mapping[str, Any], modalities: Sequence[Modality]) -> list[str]:
    """The raw scores."""
    del settings  # soft voting has none that the graph needs.
    return [f"{modality}.scores" for modality in modalities]


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> str:
    """As `schemas.models` says: softmax(ln max(vote, 1e-12), A, b)."""
    del settings
    presence = Presence(graph, parts.modalities)
    shares: list[str] = []
    votes: list[str] = []
    for modality, vote in zip(parts.modalities, weights["votes"], strict=True):
        weight = graph.floats(f"{modality}.vote", vote)
        counted = graph.node("Mul", [presence.number(modality), weight])
        probabilities = _probabilities(graph, presence, modality, weights)
        shares.append(graph.node("Mul", [probabilities, counted]))
        votes.append(counted)
    total = graph.node("Max", [graph.node("Sum", votes), graph.floats("no_votes", _NO_VOTES)])
    vote = graph.node("Div", [graph.node("Sum", shares), total])
    held = graph.node("Max", [vote, graph.floats("smallest_vote", _SMALLEST_VOTE)])
    return presence.calibrated(graph.node("Log", [held]), weights["A"], weights["b"])


def _probabilities(
    graph: OnnxGraph, presence: Presence, modality: Modality, weights: Weights
) -> str:
    matrix = graph.floats(f"{modality}.A", weights[f"{modality}.A"])
    offset = graph.floats(f"{modality}.b", weights[f"{modality}.b"])
    logits = graph.node("Gemm", [presence.kept(f"{modality}.scores"), matrix, offset])
    return graph.node("Softmax", [logits], axis=1)
