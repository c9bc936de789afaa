"""What a strategy's module offers, and how it is found by its name.

The strategy `soft-voting` is the module `soft_voting` beside this one, with the functions of
`Strategy`. One more strategy is one more file, beside this one or handed in by its user.
"""

import importlib
import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol, cast

from export.errors import ExportError
from export.models_folder import Weights
from export.onnx_graph import BOOL, FLOAT, OnnxGraph

TOLERANCE_MAX: Final = 1e-4
"""What float32 leaves of an RBF margin, the least exact of all that is served."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the graphs before fusion give: the sides of each tensor but the first, by name.

    `folder` is the strategy's own of the models folder, for what is no array.
    """

    modalities: Sequence[str]
    labels: int
    sides: Mapping[str, tuple[int, ...]]
    folder: Path


@dataclass(frozen=True, slots=True)
class Fused:
    """The names of the scores [N,K], and of the modalities' weights [N,M] where there are any."""

    scores: str
    weights: str | None = None


class Strategy(Protocol):
    """A strategy's module."""

    TOLERANCE: float
    """How far a published probability may be from what training computed."""

    def inputs(self, settings: Mapping[str, Any], modalities: Sequence[str]) -> list[str]:
        """The tensors that the fusion graph takes, `present` apart."""

    def fuse(
        self, graph: OnnxGraph, parts: Parts, settings: Mapping[str, Any], weights: Weights
    ) -> Fused:
        """Add the strategy to the graph."""


def strategy(name: str, own: Mapping[str, Strategy] = MappingProxyType({})) -> Strategy:
    """The module of the strategy `name`, of `own` or of this package. Raises ExportError."""
    found = own.get(name) or _strategy(name)
    if found is None:
        raise ExportError(
            f"strategy {name!r} cannot be exported: name its file of export, --own-strategy "
            f"{name.replace('-', '_')}.py, or choose another with `tuwen train`"
        )
    if not 0 < found.TOLERANCE <= TOLERANCE_MAX:
        raise ExportError(
            f"strategy {name!r} has the tolerance {found.TOLERANCE}, and the gate takes "
            f"{TOLERANCE_MAX} at most: make the graph more exact"
        )
    return found


def _strategy(name: str) -> Strategy | None:
    module = f"export.fusion.{name.replace('-', '_')}"
    if not name.replace("-", "_").isidentifier() or importlib.util.find_spec(module) is None:
        return None
    return cast(Strategy, importlib.import_module(module))


def fusion_graph(
    chosen: Strategy, parts: Parts, settings: Mapping[str, Any], weights: Weights
) -> bytes:
    """`present` and the strategy's inputs → `scores` [N,K], which sum to 1; maybe `weights`."""
    graph = OnnxGraph("fusion")
    graph.input("present", BOOL, ("N", len(parts.modalities)))
    for name in chosen.inputs(settings, parts.modalities):
        graph.input(name, FLOAT, ("N", *parts.sides[name]))
    fused = chosen.fuse(graph, parts, settings, weights)
    graph.output("scores", fused.scores, ("N", parts.labels))
    if fused.weights is not None:
        graph.output("weights", fused.weights, ("N", len(parts.modalities)))
    return graph.model()
