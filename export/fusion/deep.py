"""A Keras head of a strategy to a part of the fusion graph, converted by tf2onnx."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from export.cnn import saved_model
from export.fusion.presence import Presence
from export.fusion.seam import Parts
from export.onnx_graph import OPSET, OnnxGraph, number_tensors
from export.tensorflow_import import tensorflow, tf2onnx

HEAD: Final = "head.keras"
PRESENT: Final = "present"


def head(
    graph: OnnxGraph,
    parts: Parts,
    given: Mapping[str, str],
    sides: Mapping[str, tuple[int, ...]],
    outputs: Sequence[str],
) -> dict[str, str]:
    """Those outputs of the strategy's head, by their names; `given` are its inputs by name."""
    model, taken = _converted(parts.folder / HEAD, sides, outputs)
    found = graph.merge(model, {taken[name]: value for name, value in given.items()})
    return {name: found[name] for name in outputs}


def kept_inputs(
    graph: OnnxGraph, presence: Presence, parts: Parts, names: Sequence[str]
) -> tuple[dict[str, str], dict[str, tuple[int, ...]]]:
    """`present` in numbers and those tensors, zeros where absent, and the sides of each."""
    numbers = [presence.number(modality) for modality in parts.modalities]
    given = {PRESENT: graph.node("Concat", numbers, axis=1)}
    given |= {name: presence.kept(name, 1 + len(parts.sides[name])) for name in names}
    sides = {PRESENT: (len(parts.modalities),), **{name: parts.sides[name] for name in names}}
    return given, sides


def _converted(
    file: Path, sides: Mapping[str, tuple[int, ...]], outputs: Sequence[str]
) -> tuple[Any, dict[str, str]]:
    """The head with those outputs, and what its graph names each input."""
    tf, model = tensorflow(), saved_model(file)
    taken = {name: f"input_{number}" for number, name in enumerate(sides)}
    signature = [
        tf.TensorSpec((None, *sides[name]), tf.float32, name=taken[name]) for name in sides
    ]

    def answer(*tensors: Any) -> dict[str, Any]:
        found = model(dict(zip(sides, tensors, strict=True)), training=False)
        return {name: found[name] for name in outputs}

    function = tf.function(answer, input_signature=signature)
    converted, _ = tf2onnx().convert.from_function(function, input_signature=signature, opset=OPSET)
    number_tensors(converted.graph)
    return converted, taken
