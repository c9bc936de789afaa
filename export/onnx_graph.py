"""Build an ONNX graph node by node, each step given a name by its output."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 18
"""The highest that tf2onnx writes, so that all graphs of a bundle have one."""

ML_OPSET: Final = 3
IR_VERSION: Final = 9

Sides = Sequence[int | str]

FLOAT: Final = TensorProto.FLOAT
DOUBLE: Final = TensorProto.DOUBLE
INT64: Final = TensorProto.INT64
BOOL: Final = TensorProto.BOOL


class OnnxGraph:
    """A graph in the making. Every step gives the name of what it makes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._opsets = {"": OPSET}

    def input(self, name: str, kind: int, sides: Sides) -> str:
        """An input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(sides)))
        return name

    def output(self, name: str, value: str, sides: Sides) -> None:
        """Make `value` the float output `name`."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, FLOAT, list(sides)))

    def floats(self, name: str, values: ArrayLike) -> str:
        """Weights, as float32."""
        return self._constant(name, np.asarray(values, np.float32))

    def ints(self, name: str, values: ArrayLike) -> str:
        """Axes, shapes and the like, as int64."""
        return self._constant(name, np.asarray(values, np.int64))

    def doubles(self, values: ArrayLike) -> str:
        """Weights, as float64, under a name of their own."""
        return self._constant(f"doubles_{len(self._weights)}", np.asarray(values, np.float64))

    def places(self, values: ArrayLike) -> str:
        """Places along an axis, as int64, under a name of their own."""
        return self._constant(f"places_{len(self._weights)}", np.asarray(values, np.int64))

    def _constant(self, name: str, values: NDArray[Any]) -> str:
        self._weights[name] = numpy_helper.from_array(values, name)
        return name

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """One operator with one output."""
        return self.nodes(operator, inputs, 1, **attributes)[0]

    def nodes(
        self, operator: str, inputs: Sequence[str], outputs: int, **attributes: Any
    ) -> tuple[str, ...]:
        """One operator with several outputs."""
        name = f"{operator.lower()}_{len(self._nodes)}"
        names = tuple(f"{name}_{number}" for number in range(outputs))
        self._nodes.append(helper.make_node(operator, list(inputs), list(names), **attributes))
        return names

    def include(self, model: onnx.ModelProto, value: str, output: int = 0) -> str:
        """What a model of one input gives as its output of that place, applied to `value`."""
        wanted = model.graph.output[output].name
        _keep_only(model.graph, wanted)
        return self.merge(model, {model.graph.input[0].name: value})[wanted]

    def merge(self, model: onnx.ModelProto, values: Mapping[str, str]) -> dict[str, str]:
        """All of a model, its inputs taken from `values`; gives what its outputs are named here."""
        prefix = f"part{len(self._nodes)}/"
        part = onnx.compose.add_prefix(model, prefix)
        for name, value in values.items():
            self._nodes.append(helper.make_node("Identity", [value], [prefix + name]))
        self._nodes.extend(part.graph.node)
        self._weights |= {weight.name: weight for weight in part.graph.initializer}
        self._opsets |= {opset.domain: opset.version for opset in part.opset_import if opset.domain}
        return {output.name: prefix + output.name for output in model.graph.output}

    def model(self) -> bytes:
        """The whole, checked."""
        graph = helper.make_graph(
            self._nodes, self._name, self._inputs, self._outputs, list(self._weights.values())
        )
        opsets = [helper.make_opsetid(name, number) for name, number in self._opsets.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tuwen"
        )
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())


def _keep_only(graph: onnx.GraphProto, output: str) -> None:
    """Drop what an output does not rest on: ONNX Runtime would compute it for nothing."""
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input) | {
                name
                for attribute in node.attribute
                for inner in attribute.g.node
                for name in inner.input
            }
            nodes.append(node)
    _replace(graph.node, reversed(nodes))
    _replace(graph.output, [value for value in graph.output if value.name == output])
    _replace(graph.initializer, [w for w in graph.initializer if w.name in needed])


def _replace(field: Any, values: Iterable[Any]) -> None:
    """Set a repeated field of a message."""
    kept = list(values)
    del field[:]
    field.extend(kept)


def opsets(model: bytes) -> dict[str, int]:
    """The operator sets that a serialised model asks for, version by domain."""
    return {opset.domain: opset.version for opset in onnx.load_from_string(model).opset_import}


def number_tensors(graph: onnx.GraphProto) -> None:
    """Number the inner tensors by their use: tf2onnx's names and order differ between runs."""
    kept = {value.name for value in (*graph.input, *graph.output)}
    names = {name: name for name in kept} | {"": ""}
    for node in graph.node:
        node.name = ""
        inputs = [names.setdefault(name, f"value_{len(names):04d}") for name in node.input]
        outputs = [names.setdefault(name, f"value_{len(names):04d}") for name in node.output]
        node.ClearField("input")
        node.ClearField("output")
        node.input.extend(inputs)
        node.output.extend(outputs)
    for weight in graph.initializer:
        weight.name = names[weight.name]
    weights = sorted(graph.initializer, key=lambda weight: weight.name)
    graph.ClearField("initializer")
    graph.initializer.extend(weights)
    graph.doc_string = ""
    graph.ClearField("value_info")
