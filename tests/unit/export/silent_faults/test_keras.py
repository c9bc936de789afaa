"""Keras CNNs that the plain converters refuse, name otherwise, or turn into what ONNX is not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidGraph

from export.cnn import image_graph
from export.errors import ExportError
from export.onnx_graph import OPSET
from export.tensorflow_import import tf2onnx
from inference.graph import Graph
from schemas.manifest import ImageInput
from tests.unit.export.silent_faults.conversion import QUIET
from tests.unit.train.brought.pipelines import LABELS
from train.brought.cnn import CnnOptions, read_cnn
from train.errors import BroughtError
from train.quiet_keras import load

pytestmark = [
    pytest.mark.training,
    # Keras and tf2onnx use what numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

IMAGE = ImageInput(8, 8)
PIXELS = np.random.default_rng(5).integers(0, 256, (9, 8, 8, 3), np.uint8)
SCORES = ["image.scores"]


def _cnn(middle: Any) -> Any:
    """Pixels in, scores and a map of regions out, as training has it."""
    _, keras = load()
    keras.utils.set_random_seed(3)
    pixels = keras.Input((8, 8, 3))
    seen = keras.layers.Conv2D(2, 3, name="seen")(keras.layers.Rescaling(1 / 255)(pixels))
    scores = keras.layers.Dense(3)(keras.layers.Flatten()(middle(seen)))
    return keras.Model(pixels, {"image.scores": scores, "image.regions": seen})


def _plain(model: Any) -> onnx.ModelProto:
    """tf2onnx's way that is sound otherwise."""
    tf, _ = load()
    signature = [tf.TensorSpec((None, 8, 8, 3), tf.float32, name="pixels")]
    function = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
    converted: tuple[onnx.ModelProto, Any] = tf2onnx().convert.from_function(
        function, input_signature=signature, opset=OPSET
    )
    return converted[0]


def test_a_sequential_model_is_exported(tmp_path: Path) -> None:
    """`from_keras` dies of it with a KeyError; by a function of our own it is right."""
    _, keras = load()
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    )
    with pytest.raises(KeyError):
        tf2onnx().convert.from_keras(model, opset=OPSET)
    model.save(tmp_path / "owner.keras")
    cnn = read_cnn(tmp_path / "owner.keras", CnnOptions(scale="0-1"), LABELS)
    cnn.save(tmp_path)
    graph = Graph(image_graph(tmp_path / "model.keras", IMAGE, SCORES))
    logits = graph.run({"pixels": PIXELS}, SCORES)["image.scores"]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    said = model.predict(PIXELS / np.float32(255), verbose=0)
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), said, atol=1e-6)


# Keras gives tf2onnx back what numpy has dropped.
@pytest.mark.filterwarnings("ignore:In the future `np.object`:FutureWarning")
def test_outputs_have_their_own_names(tmp_path: Path) -> None:
    """`from_keras` names them by layers and `model.export` by nothing; ours by what they are."""
    model = _cnn(lambda seen: seen)
    by_layer, _ = tf2onnx().convert.from_keras(model, opset=OPSET)
    assert {output.name for output in by_layer.graph.output}.isdisjoint(model.output)
    _, keras = load()
    one = keras.Model(model.input, model.output["image.scores"])
    one.predict(PIXELS, verbose=0)
    one.export(tmp_path / "plain.onnx", format="onnx", verbose=False)
    plain = onnx.load(tmp_path / "plain.onnx")
    assert [output.name for output in plain.graph.output] == ["Identity:0"]
    model.save(tmp_path / "model.keras")
    graph = Graph(image_graph(tmp_path / "model.keras", IMAGE, list(model.output)))
    found = graph.run({"pixels": PIXELS}, list(model.output))
    for name, said in model.predict(PIXELS, verbose=0).items():
        np.testing.assert_allclose(found[name], said, atol=1e-5)


def test_an_exact_gelu_is_refused_by_name(tmp_path: Path) -> None:
    """tf2onnx writes the graph all the same, and ONNX Runtime cannot load it."""
    _, keras = load()
    exact = keras.layers.Activation("gelu", name="bend")
    model = _cnn(exact)
    plain = _plain(keras.Model(model.input, model.output["image.scores"]))
    with pytest.raises(InvalidGraph, match="Erfc"):
        ort.InferenceSession(plain.SerializeToString(), QUIET)
    keras.Model(model.input, model.output["image.scores"]).save(tmp_path / "model.keras")
    with pytest.raises(BroughtError, match="layer 'bend' uses the exact gelu"):
        read_cnn(tmp_path / "model.keras", CnnOptions(), LABELS)


@pytest.mark.parametrize("operation", ["gelu", "erfinv"])
def test_what_onnx_does_not_have_is_named(operation: str, tmp_path: Path) -> None:
    """Also where no layer shows it; what is like it and can be expressed is exported."""
    _, keras = load()
    exact = {"gelu": lambda x: keras.ops.gelu(x, approximate=False), "erfinv": keras.ops.erfinv}
    _cnn(exact[operation]).save(tmp_path / "model.keras")
    with pytest.raises(ExportError, match=r"model.keras computes Erf(c|inv), which ONNX"):
        image_graph(tmp_path / "model.keras", IMAGE, SCORES)
    model = _cnn(lambda x: keras.ops.gelu(x, approximate=True))
    model.save(tmp_path / "model.keras")
    found = Graph(image_graph(tmp_path / "model.keras", IMAGE, SCORES)).run(
        {"pixels": PIXELS}, SCORES
    )
    said = model.predict(PIXELS, verbose=0)["image.scores"]
    np.testing.assert_allclose(found["image.scores"], said, atol=1e-5)


def test_the_opset_is_the_highest_that_tf2onnx_writes() -> None:
    """A higher one is refused by it, and all graphs of a bundle have one."""
    tf, _ = load()
    signature = [tf.TensorSpec((None, 2), tf.float32, name="x")]
    function = tf.function(lambda x: x + 1, input_signature=signature)
    with pytest.raises(ValueError, match="not supported yet"):
        tf2onnx().convert.from_function(function, input_signature=signature, opset=OPSET + 1)


def test_bytes_are_scaled_in_the_graph(tmp_path: Path) -> None:
    """Pixels go in as uint8, a quarter of what floats are."""
    _cnn(lambda seen: seen).save(tmp_path / "model.keras")
    graph = Graph(image_graph(tmp_path / "model.keras", IMAGE, SCORES))
    assert graph.inputs["pixels"].dtype == "tensor(uint8)"
