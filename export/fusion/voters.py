"""Each modality's calibrated probabilities, which both kinds of voting count."""

from export.fusion.presence import Presence
from export.models_folder import Weights
from export.onnx_graph import OnnxGraph


def probabilities(graph: OnnxGraph, presence: Presence, modality: str, weights: Weights) -> str:
    """[N,K]: softmax of its scores @ A + b; where it is absent a number that nobody may count."""
    matrix = graph.floats(f"{modality}.A", weights[f"{modality}.A"])
    offset = graph.floats(f"{modality}.b", weights[f"{modality}.b"])
    logits = graph.node("Gemm", [presence.kept(f"{modality}.scores"), matrix, offset])
    return graph.node("Softmax", [logits], axis=1)
