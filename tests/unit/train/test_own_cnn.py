"""Somebody's own Keras model trained by our loop: what is kept of it, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from schemas.progress import silent
from train.cnn import Heads, build, image_input, with_outputs
from train.errors import BroughtError, SettingError
from train.image_model import End, run_once
from train.image_rows import ImageRows
from train.own_cnn import MAP, VECTOR, body, described
from train.quiet_keras import load
from train.settings import OwnCnn, TrainSettings

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

HEIGHT, WIDTH = 24, 32
LABELS = 3


def own_cnn(*last: Any, shape: tuple[int | None, ...] = (HEIGHT, WIDTH, 1)) -> Any:
    """A Sequential of another size than ours, in grey, that ends in these layers."""
    _, keras = load()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(shape),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.Conv2D(6, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            *last,
        ]
    )


def _dense(units: int, activation: str | None = None) -> Any:
    _, keras = load()
    return keras.layers.Dense(units, activation=activation)


def _activation(name: str) -> Any:
    _, keras = load()
    return keras.layers.Activation(name)


def _softmax() -> Any:
    _, keras = load()
    return keras.layers.Softmax()


def _saved(model: Any, folder: Path, name: str = "model.keras") -> Path:
    model.save(folder / name)
    return folder / name


def _flat() -> Any:
    """A model that has no feature map, only pixels."""
    _, keras = load()
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((4, 5, 3)), layers.Rescaling(1 / 255), layers.Flatten(), _dense(8), _dense(3)]
    )


def test_size_colours_and_scale_are_those_of_the_file(tmp_path: Path) -> None:
    """A model that scales for itself is fed bytes, and nobody needs to say so."""
    grey = described(_saved(own_cnn(_dense(3, "softmax")), tmp_path), "-1..1")
    assert (grey.height, grey.width, grey.channels, grey.scale) == (HEIGHT, WIDTH, 1, "-1..1")
    assert image_input(grey).colours == "L"
    assert image_input(grey).decoder_version
    bright = described(_saved(_flat(), tmp_path, "flat.keras"), None)
    assert (bright.height, bright.width, bright.channels, bright.scale) == (4, 5, 3, "0-255")


LEFT_OFF: dict[str, Callable[[], tuple[Any, ...]]] = {
    "softmax": lambda: (_dense(LABELS, "softmax"),),
    "softmax of other labels": lambda: (_dense(9, "softmax"),),
    "sigmoid": lambda: (_dense(1, "sigmoid"),),
    "logits": lambda: (_dense(LABELS),),
    "activation apart": lambda: (_dense(LABELS), _activation("softmax")),
    "softmax apart": lambda: (_dense(LABELS), _softmax()),
}
KEPT: dict[str, Callable[[], tuple[Any, ...]]] = {
    "hidden": lambda: (_dense(6, "relu"),),
    "hidden, activation apart": lambda: (_dense(6), _activation("relu")),
    "bottleneck": lambda: (_dense(6),),
}


@pytest.mark.parametrize("end", [*LEFT_OFF, *KEPT, "nothing"])
def test_the_classification_layer_is_left_off_and_nothing_else(end: str, tmp_path: Path) -> None:
    """What is left says what it said in the model as it came, with the weights of the file."""
    owner = own_cnn(*(LEFT_OFF | KEPT | {"nothing": tuple})[end]())
    cnn = described(_saved(owner, tmp_path), "0-1")
    pixels = np.random.default_rng(1).random((5, HEIGHT, WIDTH, 1), np.float32)
    said = pixels
    for layer in owner.layers if end in KEPT else owner.layers[:3]:
        said = layer(said)
    found = body(cnn, LABELS)(pixels)
    np.testing.assert_allclose(found[VECTOR], said, rtol=1e-6)
    assert found[MAP].shape == (5, 5, 7, 6)


def test_bytes_are_scaled_as_the_owner_scales_them(tmp_path: Path) -> None:
    """`-1..1` is 127.5 to 0."""
    cnn = described(_saved(own_cnn(_dense(3)), tmp_path), "-1..1")
    pixels = np.random.default_rng(1).integers(0, 256, (4, HEIGHT, WIDTH, 1), np.uint8)
    model = build(cnn, image_input(cnn), Heads(LABELS, 2))
    assert set(model.output) == {"label", "target", "image.regions"}
    [weights, bias] = model.get_layer("label_logits").get_weights()
    vector = body(cnn, LABELS)(pixels.astype(np.float32) / np.float32(127.5) - 1)[VECTOR]
    np.testing.assert_allclose(model(pixels)["label"], vector @ weights + bias, atol=1e-5)
    served = with_outputs(model)
    assert served.output["image.scores"].shape == (None, LABELS + 2)
    assert served.output["image.regions"].shape == (None, 3 * 4, 6)


def test_a_layer_that_scales_keeps_what_it_has_learned(tmp_path: Path) -> None:
    """Mean and variance of the owner's pictures; its own output is no feature map."""
    _, keras = load()
    scaling = keras.layers.Normalization()
    pixels = np.random.default_rng(1).integers(0, 256, (9, 4, 5, 3)).astype(np.float32)
    scaling.adapt(pixels)
    owner = keras.Sequential(
        [keras.Input((4, 5, 3)), scaling, keras.layers.Flatten(), _dense(3, "softmax")]
    )
    cnn = described(_saved(owner, tmp_path), None)
    assert cnn.scale == "0-255"
    found = body(cnn, LABELS)(pixels)
    assert set(found) == {VECTOR}
    wanted = (pixels - pixels.mean(axis=(0, 1, 2))) / pixels.std(axis=(0, 1, 2))
    np.testing.assert_allclose(found[VECTOR], wanted.reshape(9, -1), atol=1e-4)


def test_without_a_feature_map_the_vector_is_the_one_region(tmp_path: Path) -> None:
    """Pixels are none: nothing was learned of them yet."""
    cnn = described(_saved(_flat(), tmp_path), None)
    served = with_outputs(build(cnn, image_input(cnn), Heads(LABELS, None)))
    assert served.output["image.regions"].shape == (None, 1, 8)


def test_it_learns_from_the_weights_in_its_file_and_equal_seeds_are_equal(tmp_path: Path) -> None:
    """Bright and dark pictures, by the loop that trains ours."""
    cnn = described(_saved(own_cnn(_dense(2, "softmax")), tmp_path), "0-1")
    labels = np.arange(60) % 2
    noise = np.random.default_rng(2).integers(0, 60, (60, HEIGHT, WIDTH, 1))
    pixels = (noise + 190 * labels[:, None, None, None]).astype(np.uint8)
    ids = tuple(map(str, range(60)))
    rows = ImageRows(ids, pixels, labels, np.full(60, -1), Heads(2, None), labels)
    settings = TrainSettings(cnn=cnn, batch_images=8, image_rate=0.03)
    one, two = (run_once(rows, settings, silent, "CNN", 6, seed=4) for _ in range(2))
    assert one.end is End.LEARNED
    weights = zip(one.model.get_weights(), two.model.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in weights)


def test_a_file_that_was_changed_meanwhile_is_not_trained(tmp_path: Path) -> None:
    """A run that is repeated, or another process, would start from another model."""
    cnn = described(_saved(own_cnn(_dense(3)), tmp_path), "0-1")
    _saved(own_cnn(_dense(3), _dense(3)), tmp_path)
    with pytest.raises(SettingError, match="was changed while it was trained"):
        body(cnn, LABELS)


def _two_inputs() -> Any:
    _, keras = load()
    a, b = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    return keras.Model([a, b], keras.layers.Flatten()(keras.layers.Add()([a, b])))


def _by_an_operation() -> Any:
    _, keras = load()
    model = own_cnn(_dense(3))
    return keras.Model(model.inputs, keras.ops.softmax(model.outputs[0]))


def _within() -> Any:
    _, keras = load()
    pixels = keras.Input((HEIGHT, WIDTH, 1))
    return keras.Model(pixels, own_cnn(_dense(3, "softmax"))(pixels))


def _lambda() -> Any:
    _, keras = load()
    return own_cnn(keras.layers.Lambda(lambda x: x), _dense(3))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "two inputs": (_two_inputs, "2 inputs"),
    "any size": (lambda: own_cnn(_dense(3), shape=(None, None, 3)), "pictures of any size"),
    "four channels": (lambda: own_cnn(_dense(3), shape=(24, 32, 4)), "4 channels"),
    "lambda": (_lambda, "cannot be read"),
    "gelu": (lambda: own_cnn(_dense(4, "gelu"), _dense(3)), "exact gelu"),
    "operation": (_by_an_operation, "ends in softmax, and not in a Dense"),
    "softmax of no Dense": (lambda: own_cnn(_softmax()), "'global_average_pooling2d"),
    "model within": (_within, "'sequential"),
    "scale": (lambda: own_cnn(_dense(3)), "say how by --cnn-scale"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_trained_is_refused_by_name(name: str, tmp_path: Path) -> None:
    """Before anything is trained."""
    make, said = REFUSED[name]
    file = _saved(make(), tmp_path)
    with pytest.raises(BroughtError) as refused:
        described(file, None if name == "scale" else "0-1")
    assert said in str(refused.value)


@pytest.mark.parametrize(("name", "said"), [("a.pt", "no Keras file"), ("a.keras", "not there")])
def test_a_file_that_holds_no_model_is_named(name: str, said: str, tmp_path: Path) -> None:
    """By its ending, or because there is none."""
    with pytest.raises(BroughtError, match=f"{name} is .*{said}|{name} is {said}"):
        described(tmp_path / name, "0-1")


def test_settings_tell_the_file_by_name_and_content() -> None:
    """Not where it lay; and they reach other processes whole."""
    own = OwnCnn("/somebody/of/model.keras", "ab", 24, 32, 1, "0-1")
    settings = TrainSettings(cnn=own)
    recorded = settings.recorded
    assert (recorded["cnn"], recorded["cnn_sha256"]) == ("model.keras", "ab")
    assert recorded["cnn_scale"] == "0-1"
    assert "somebody" not in str(recorded)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=TrainSettings) == settings
