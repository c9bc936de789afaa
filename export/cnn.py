"""A Keras image model to ONNX: pixels uint8 [N,H,W,C] in, the model's named outputs out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from export.errors import ExportError
from export.onnx_graph import OPSET, number_tensors
from export.tensorflow_import import tensorflow, tf2onnx
from schemas.manifest import ImageInput


def image_graph(file: Path, image: ImageInput, outputs: Sequence[str]) -> bytes:
    """Convert the saved model, with those of its outputs that are asked for.

    Bytes go into the graph, a quarter of what floats would be; the model scales them itself.
    Raises ExportError.
    """
    tf = tensorflow()
    model = saved_model(file)
    kind = model.inputs[0].dtype
    shape = (None, image.height, image.width, image.channels)
    signature = [tf.TensorSpec(shape, tf.uint8, name="pixels")]

    def graph(pixels: Any) -> dict[str, Any]:
        found = model(tf.cast(pixels, kind), training=False)
        named = found if isinstance(found, dict) else {"image.scores": found}
        _check(file, named, outputs)
        return {name: named[name] for name in outputs}

    function = tf.function(graph, input_signature=signature)
    converted, _ = tf2onnx().convert.from_function(function, input_signature=signature, opset=OPSET)
    _check_operators(file, converted)
    return _named(converted, outputs)


def saved_model(file: Path) -> Any:
    """The Keras model that training saved. Raises ExportError."""
    tensorflow()
    import keras

    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        raise ExportError(f"{file} cannot be read: {error}; train again") from error


def _check(file: Path, found: dict[str, Any], wanted: Sequence[str]) -> None:
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise ExportError(f"{file} gives {sorted(found)}, and lacks {missing}; train again")


def _check_operators(file: Path, model: onnx.ModelProto) -> None:
    """Refuse a graph with steps that tf2onnx left as TensorFlow's own; it leaves them silently."""
    found = {(node.op_type, node.domain) for node in model.graph.node}
    unknown = sorted(name for name, domain in found if not onnx.defs.has(name, domain))
    if unknown:
        raise ExportError(
            f"{file.name} computes {', '.join(unknown)}, which ONNX does not have: use other "
            "layers (for the exact gelu, which is Erfc: gelu(x, approximate=True), or relu), and "
            "train again"
        )


def _named(model: onnx.ModelProto, outputs: Sequence[str]) -> bytes:
    """Free sides and outputs by the names that a bundle gives them."""
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "N"
    found = [value.name for value in model.graph.output]
    if sorted(found) != sorted(outputs):
        raise ExportError(f"tf2onnx named the outputs {found}, and not {sorted(outputs)}")
    number_tensors(model.graph)
    model.graph.name = "image"
    model.producer_name = "tuwen"
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
