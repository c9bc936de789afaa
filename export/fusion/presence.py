"""What every strategy needs: absent values as zeros, and calibration by what is present."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from export.onnx_graph import FLOAT, INT64, OnnxGraph
from schemas.verdict import Modality


class Presence:
    """The mask `present` [N,M] of a graph, taken apart."""

    def __init__(self, graph: OnnxGraph, modalities: Sequence[Modality]) -> None:
        self._graph = graph
        sizes = graph.ints("present.sizes", np.ones(len(modalities)))
        columns = (
            graph.nodes("Split", ["present", sizes], len(modalities), axis=1)
            if len(modalities) > 1
            else ("present",)
        )
        self._columns = dict(zip(modalities, columns, strict=True))
        self._zero = graph.floats("present.zero", 0)

    def of(self, modality: Modality) -> str:
        """Its column, bool [N,1]."""
        return self._columns[modality]

    def number(self, modality: Modality) -> str:
        """Its column as 0 or 1, float [N,1]."""
        return self._graph.node("Cast", [self.of(modality)], to=FLOAT)

    def kept(self, tensor: str) -> str:
        """`<modality>.<name>`, or zeros where the modality is absent, whatever stands there."""
        modality: Modality = "text" if tensor.startswith("text.") else "image"
        return self._graph.node("Where", [self.of(modality), tensor, self._zero])

    def calibrated(self, values: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
        """Softmax of values [N,Kin] @ A[pattern] + b[pattern]: A [P,Kin,K], b [P,K]."""
        graph = self._graph
        powers = graph.ints("present.powers", [[1 << m] for m in range(len(self._columns))])
        whole = graph.node("Cast", ["present"], to=INT64)
        axis = graph.ints("present.axis", [1])
        pattern = graph.node("Squeeze", [graph.node("MatMul", [whole, powers]), axis])
        matrix = graph.node("Gather", [graph.floats("calibration.A", a), pattern])
        offset = graph.node("Gather", [graph.floats("calibration.b", b), pattern])
        product = graph.node("MatMul", [graph.node("Unsqueeze", [values, axis]), matrix])
        logits = graph.node("Add", [graph.node("Squeeze", [product, axis]), offset])
        return graph.node("Softmax", [logits], axis=1)
