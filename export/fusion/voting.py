"""Voting: the mean of those who voted for the winner, made a probability by a temperature."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from export.fusion.presence import Presence
from export.fusion.seam import Fused, Parts
from export.fusion.voters import probabilities
from export.models_folder import Weights
from export.onnx_graph import FLOAT, INT64, OnnxGraph

TOLERANCE: Final = 1e-5

_SMALLEST_VOTE: Final = 1e-12


def inputs(settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
    """The raw scores."""
    del settings  # voting has none that the graph needs.
    return [f"{modality}.scores" for modality in modalities]


def fuse(graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights) -> Fused:
    """As `schemas.models` says: softmax(t[pattern, voters] · ln max(mean, 1e-12))."""
    del settings
    presence = Presence(graph, parts.modalities)
    graph.ints("labels", np.arange(parts.labels))
    axis = graph.ints("axis", [1])
    said = {name: probabilities(graph, presence, name, weights) for name in parts.modalities}
    votes = {name: _vote(graph, presence, name, said[name]) for name in parts.modalities}
    winner = _winner(graph, said, votes)
    voters = [
        graph.node("ReduceMax", [_number(graph, graph.node("And", [vote, winner])), axis])
        for vote in votes.values()
    ]
    counted = [
        graph.node("Mul", [said[name], voter]) for name, voter in zip(votes, voters, strict=True)
    ]
    number = graph.node("Sum", voters)
    at_least_one = graph.node("Max", [number, graph.floats("one", 1)])
    mean = graph.node("Div", [graph.node("Sum", counted), at_least_one])
    held = graph.node("Max", [mean, graph.floats("floor", _SMALLEST_VOTE)])
    temperature = _temperature(graph, presence, number, weights)
    scaled = graph.node("Mul", [graph.node("Log", [held]), temperature])
    shares = graph.node("Div", [graph.node("Concat", voters, axis=1), at_least_one])
    return Fused(graph.node("Softmax", [scaled], axis=1), shares)


def _number(graph: OnnxGraph, truth: str) -> str:
    return graph.node("Cast", [truth], to=FLOAT)


def _vote(graph: OnnxGraph, presence: Presence, modality: str, said: str) -> str:
    """Bool [N,K]: its likeliest label, the first of several; none where it is absent."""
    likeliest = graph.node("ArgMax", [said], axis=1, keepdims=1)
    chosen = graph.node("Equal", [likeliest, "labels"])
    return graph.node("And", [chosen, presence.of(modality)])


def _winner(graph: OnnxGraph, said: Mapping[str, str], votes: Mapping[str, str]) -> str:
    """Bool [N,K]: the label with most votes; of equals that of the most confident voter."""
    counts = {name: _number(graph, vote) for name, vote in votes.items()}
    confidences = [
        graph.node("Mul", [counts[name], graph.node("ReduceMax", [said[name], "axis"])])
        for name in votes
    ]
    half = graph.node("Mul", [graph.node("Max", confidences), graph.floats("half", 0.5)])
    ranks = graph.node("Sum", [*counts.values(), half])
    return graph.node("Equal", [graph.node("ArgMax", [ranks], axis=1, keepdims=1), "labels"])


def _temperature(graph: OnnxGraph, presence: Presence, number: str, weights: Weights) -> str:
    """Float [N,1], by the pattern and the number of voters of the winner."""
    table = weights["temperatures"]
    width = graph.ints("temperatures.width", table.shape[1])
    rows = graph.node("Mul", [graph.node("Unsqueeze", [presence.pattern(), "axis"]), width])
    place = graph.node("Add", [rows, graph.node("Cast", [number], to=INT64)])
    return graph.node("Gather", [graph.floats("temperatures", table.ravel()), place])
