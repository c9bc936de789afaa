"""One ONNX graph in ONNX Runtime: arrays by name in, arrays by name out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inference.runtime import ort
from schemas.manifest import TensorSpec

Arrays = dict[str, NDArray[Any]]

# What a run fails of is raised, and named there; on stderr it would be told once for each run.
_FATAL_ONLY: Final = 4
NUMPY_TYPES: Final[dict[str, type[np.generic]]] = {
    "tensor(float)": np.float32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class Graph:
    """A session over the bytes of a model, on `threads` threads.

    Raises what ONNX Runtime raises for bytes that it refuses. From bytes it refuses all
    external tensors; no library of custom operators is ever registered.
    """

    def __init__(self, model: bytes, threads: int = 1) -> None:
        self._session = ort.InferenceSession(
            model, _options(threads), providers=["CPUExecutionProvider"]
        )
        self.inputs = {node.name: _spec(node) for node in self._session.get_inputs()}
        self.outputs = {node.name: _spec(node) for node in self._session.get_outputs()}

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> Arrays:
        """The named outputs."""
        found = self._session.run(outputs, inputs)
        return dict(zip(outputs, found, strict=True))


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    # Batches differ in size: a memory pattern for each would only grow. The arena does not, for
    # the classifier bounds each batch; without it every picture costs 20 page faults, 70 µs.
    options.enable_mem_pattern = False
    return options


def _spec(node: ort.NodeArg) -> TensorSpec:
    shape = tuple(side if isinstance(side, int | str) else "?" for side in node.shape)
    return TensorSpec(node.type, shape)
