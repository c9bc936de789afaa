"""What every strategy needs: absent values as zeros, and calibration by what is present."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.onnx_graph import FLOAT, INT64, OnnxGraph

_NOTHING: Final = 1e-30
"""Divides where nothing is present."""


class Presence:
    """The mask `present` [N,M] of a graph, taken apart."""

    def __init__(self, graph: OnnxGraph, modalities: Sequence[str]) -> None:
        self._graph = graph
        sizes = graph.ints("present.sizes", np.ones(len(modalities)))
        columns = (
            graph.nodes("Split", ["present", sizes], len(modalities), axis=1)
            if len(modalities) > 1
            else ("present",)
        )
        self._columns = dict(zip(modalities, columns, strict=True))
        self._zero = graph.floats("present.zero", 0)

    def of(self, modality: str) -> str:
        """Its column, bool [N,1]."""
        return self._columns[modality]

    def number(self, modality: str) -> str:
        """Its column as 0 or 1, float [N,1]."""
        return self._graph.node("Cast", [self.of(modality)], to=FLOAT)

    def kept(self, tensor: str, rank: int = 2) -> str:
        """`<modality>.<name>`, or zeros where the modality is absent, whatever stands there."""
        here = self.of(tensor.partition(".")[0])
        if rank > 2:
            axes = self._graph.ints(f"present.axes.{rank}", list(range(2, rank)))
            here = self._graph.node("Unsqueeze", [here, axes])
        return self._graph.node("Where", [here, tensor, self._zero])

    def shares(self, weights: NDArray[np.float64]) -> list[str]:
        """Each modality's weight among those that are present, float [N,1]; they sum to 1."""
        graph = self._graph
        counted = [
            graph.node("Mul", [self.number(name), graph.floats(f"{name}.weight", weight)])
            for name, weight in zip(self._columns, weights, strict=True)
        ]
        total = graph.node("Max", [graph.node("Sum", counted), graph.floats("nothing", _NOTHING)])
        return [graph.node("Div", [each, total]) for each in counted]

    def pattern(self) -> str:
        """int64 [N]: the sum of 2^m over what is present."""
        graph = self._graph
        powers = graph.ints("present.powers", [[1 << m] for m in range(len(self._columns))])
        whole = graph.node("Cast", ["present"], to=INT64)
        axis = graph.ints("present.axis", [1])
        return graph.node("Squeeze", [graph.node("MatMul", [whole, powers]), axis])

    def logits(self, name: str, values: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
        """Values [N,Kin] @ A[pattern] + b[pattern]: A [P,Kin,K], b [P,K]; `name` names both."""
        graph = self._graph
        pattern, axis = self.pattern(), graph.ints("present.axis", [1])
        matrix = graph.node("Gather", [graph.floats(f"{name}.A", a), pattern])
        offset = graph.node("Gather", [graph.floats(f"{name}.b", b), pattern])
        product = graph.node("MatMul", [graph.node("Unsqueeze", [values, axis]), matrix])
        return graph.node("Add", [graph.node("Squeeze", [product, axis]), offset])

    def calibrated(self, values: str, a: NDArray[np.float64], b: NDArray[np.float64]) -> str:
        """The softmax of such logits."""
        return self._graph.node("Softmax", [self.logits("calibration", values, a, b)], axis=1)

    def calibrated_beside(self, own: str, weights: Mapping[str, NDArray[np.float64]]) -> str:
        """The same of [own | each modality's scores], by the arrays `A` and `b`."""
        scores = [self.kept(f"{modality}.scores") for modality in self._columns]
        values = self._graph.node("Concat", [own, *scores], axis=1)
        return self.calibrated(values, weights["A"], weights["b"])
