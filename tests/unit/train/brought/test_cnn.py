from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.train.brought.pipelines import LABELS
from train.brought.cnn import CnnOptions, read_cnn
from train.errors import BroughtError
from train.quiet_keras import load

pytestmark = [
    pytest.mark.training,
    # Keras 3.15 on numpy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

TWO = LABELS[:2]
HALF = CnnOptions(scale="0-1")


def _cnn(*last: Any, shape: tuple[int | None, ...] = (8, 8, 3), first: Any = None) -> Any:
    _, keras = load()
    keras.utils.set_random_seed(3)
    pixels = keras.Input(shape)
    x = pixels if first is None else first(pixels)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="seen")(x)
    for layer in last:
        x = layer(x)
    return keras.Model(pixels, x)


def _dense(units: int, activation: str | None = None) -> Any:
    _, keras = load()
    return keras.layers.Dense(units, activation=activation, kernel_initializer="normal")


def _noise(shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(5).integers(0, 256, (6, *shape), dtype=np.uint8)


def test_a_softmax_becomes_logits_in_the_order_of_the_labels(tmp_path: Path) -> None:
    """Scale, colours and columns are the owner's; the labels are equal to the owner's predict."""
    owner = _cnn(_dense(3, "softmax"))
    owner.save(tmp_path / "model.keras")
    columns = ("消极", "积极", "中性")
    options = CnnOptions(columns, "softmax", "-1..1", "bgr", "seen")
    cnn = read_cnn(tmp_path / "model.keras", options, LABELS)
    pixels = _noise((8, 8, 3))
    said = owner.predict(pixels[..., ::-1] / np.float32(127.5) - 1, verbose=0)
    scores = cnn.scores(pixels)
    assert scores.shape == (6, 3 + 4)
    shares = np.exp(scores[:, :3]) / np.exp(scores[:, :3]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(shares[:, [2, 0, 1]], said, atol=1e-5)
    names = [columns[column] for column in said.argmax(axis=1)]
    assert [LABELS[label] for label in cnn.predicted(pixels)] == names
    assert cnn.labels(scores).tolist() == cnn.predicted(pixels).tolist()
    assert cnn.uncalibrated.matrix.shape == (7, 3)


@pytest.mark.parametrize("columns", [TWO, TWO[::-1]])
def test_one_sigmoid_speaks_for_the_second_of_its_labels(
    tmp_path: Path, columns: tuple[str, ...]
) -> None:
    """Whichever of the two that is; grey pictures have one channel."""
    owner = _cnn(_dense(1, "sigmoid"), shape=(8, 8, 1))
    owner.layers[-1].bias.assign([-0.05])
    owner.save(tmp_path / "model.keras")
    cnn = read_cnn(tmp_path / "model.keras", CnnOptions(columns, scale="0-1"), TWO)
    pixels = _noise((8, 8, 1))
    said = owner.predict(pixels / np.float32(255), verbose=0)[:, 0] > 0.5
    assert [TWO[label] for label in cnn.predicted(pixels)] == [columns[int(each)] for each in said]
    assert cnn.labels(cnn.scores(pixels)).tolist() == cnn.predicted(pixels).tolist()
    assert cnn.image.colours == "L"


def test_a_model_that_scales_for_itself_is_fed_bytes(tmp_path: Path) -> None:
    """Nobody needs to say so."""
    _, keras = load()
    _cnn(_dense(3), first=keras.layers.Rescaling(1 / 255)).save(tmp_path / "model.keras")
    cnn = read_cnn(tmp_path / "model.keras", CnnOptions(), LABELS)
    assert (cnn.options.scale, cnn.output) == ("0-255", "logits")


def _two_inputs() -> Any:
    _, keras = load()
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([a, b], keras.layers.Flatten()(keras.layers.Add()([a, b])))


def _lambda() -> Any:
    _, keras = load()
    return _cnn(keras.layers.Lambda(lambda x: x), _dense(3))


def _unfitted() -> Any:
    _, keras = load()
    return keras.Sequential([keras.layers.Flatten(), _dense(3, "softmax")])


REFUSED: dict[str, tuple[Callable[[], Any], CnnOptions, str]] = {
    "two inputs": (_two_inputs, HALF, "2 inputs"),
    "any size": (lambda: _cnn(_dense(3), shape=(None, None, 3)), HALF, "pictures of any size"),
    "four channels": (lambda: _cnn(_dense(3), shape=(8, 8, 4)), HALF, "4 channels"),
    "scale": (lambda: _cnn(_dense(3)), CnnOptions(), "--cnn-scale"),
    "output": (lambda: _cnn(_dense(3)), CnnOptions(None, "softmax", "0-1"), "--cnn-output says"),
    "one softmax": (lambda: _cnn(_dense(1, "softmax")), HALF, "softmax of one unit"),
    "end": (lambda: _cnn(_dense(3, "tanh")), HALF, "'tanh'"),
    "labels": (lambda: _cnn(_dense(4)), HALF, "gives 4 numbers"),
    "names": (lambda: _cnn(_dense(3)), CnnOptions(("a", "b", "c"), None, "0-1"), "--cnn-labels"),
    "gelu": (lambda: _cnn(_dense(4, "gelu"), _dense(3)), HALF, "exact gelu"),
    "layer": (lambda: _cnn(_dense(3)), CnnOptions(scale="0-1", embedding="no"), "are seen"),
    "lambda": (_lambda, HALF, "cannot be read"),
    "unfitted": (_unfitted, HALF, "layers without weights"),
}


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built:UserWarning")
@pytest.mark.parametrize("name", REFUSED)
def test_a_cnn_that_cannot_be_served_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """Before anything is converted."""
    make, options, said = REFUSED[name]
    make().save(tmp_path / "model.keras")
    with pytest.raises(BroughtError) as refused:
        read_cnn(tmp_path / "model.keras", options, LABELS)
    assert said in str(refused.value)
