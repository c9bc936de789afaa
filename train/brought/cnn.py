"""A brought Keras CNN as serving takes it: bytes in, logits out, and what its owner's own says.

Scaling and the order of the colours are put in front of it; a softmax or sigmoid at its end is
taken off, since fusion wants the logits beneath.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from schemas.manifest import ImageInput
from train.calibration import Calibration
from train.errors import BroughtError
from train.keras_file import SCALES, check_activations, image_of, loaded, scale_of
from train.quiet_keras import load
from train.settings import Scale
from train.unseen import Floats

Output = Literal["sigmoid", "softmax", "logits"]
Colours = Literal["rgb", "bgr"]

SCORES: Final = "image.scores"
_ACTIVATIONS: Final[dict[str, Output]] = {
    "sigmoid": "sigmoid",
    "softmax": "softmax",
    "linear": "logits",
}
_ROWS: Final = 256
_PROBES: Final = 16
_SAME: Final = 1e-4


@dataclass(frozen=True, slots=True)
class CnnOptions:
    """What a file does not say of itself; None where it should."""

    labels: tuple[str, ...] | None = None
    output: Output | None = None
    scale: Scale | None = None
    colours: Colours = "rgb"
    embedding: str | None = None


@dataclass(frozen=True, slots=True)
class BroughtCnn:
    """`model` takes bytes and gives logits; `owner` is the model as it came."""

    owner: Any
    model: Any
    image: ImageInput
    options: CnnOptions
    output: Output
    order: tuple[int, ...]
    """By label the column of the model; of one column alone (0, 1), or (1, 0)."""
    columns: int

    @property
    def uncalibrated(self) -> Calibration:
        """What the logits say by themselves; an embedding beside them says nothing."""
        count = len(self.order)
        if self.columns == 1:
            return Calibration(np.array([[-0.5, 0.5]]), np.zeros(2))
        width = self.model.output[SCORES].shape[1]
        return Calibration(np.eye(width, count), np.zeros(count))

    def scores(self, pixels: NDArray[np.uint8]) -> Floats:
        """`image.scores` float64[N,Ki] by Keras."""
        if not len(pixels):
            return np.empty((0, self.model.output[SCORES].shape[1]))
        found = self.model.predict(pixels, batch_size=_ROWS, verbose=0)
        return np.asarray(found[SCORES], np.float64)

    def predicted(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """int64[N]: the labels of the owner's `.predict`."""
        said = owner_predict(self.owner, pixels, self.options)
        if self.columns == 1:
            positive = said[:, 0] > (0.0 if self.output == "logits" else 0.5)
            return np.asarray(positive == (self.order[0] == 0), np.int64)
        return np.asarray(said[:, self.order].argmax(axis=1), np.int64)

    def labels(self, scores: Floats) -> NDArray[np.int64]:
        """int64[N]: the labels that raw scores stand for."""
        if self.columns == 1:
            return np.asarray(scores[:, 0] > 0, np.int64)
        return np.asarray(scores[:, : self.columns].argmax(axis=1), np.int64)

    def save(self, folder: Path) -> None:
        """Write model.keras as `schemas.models` says."""
        self.model.save(folder / "model.keras")


def read_cnn(file: Path, options: CnnOptions, labels: Sequence[str]) -> BroughtCnn:
    """What serving can make of a saved CNN; `labels` in their order. Raises BroughtError."""
    owner, stripped = loaded(file), loaded(file)
    image = _image(owner, options)
    options = replace(options, scale=scale_of(owner, options.scale))
    output = _strip(stripped, options.output)
    columns = int(owner.output.shape[-1])
    order = _order(columns, output, options.labels, labels)
    model = _with_bytes(stripped, image, options, order, columns)
    found = BroughtCnn(owner, model, image, options, output, order, columns)
    _check_same(found)
    return found


def owner_predict(owner: Any, pixels: NDArray[np.uint8], options: CnnOptions) -> Floats:
    """The owner's `.predict` of pixels scaled as the owner scaled them."""
    if not len(pixels):
        return np.empty((0, owner.output.shape[-1]))
    factor, offset = SCALES[options.scale or "0-255"]
    given = pixels[..., ::-1] if options.colours == "bgr" else pixels
    scaled = (given.astype(np.float32) * np.float32(factor)) + np.float32(offset)
    return np.asarray(owner.predict(scaled, batch_size=_ROWS, verbose=0), np.float64)


def _image(model: Any, options: CnnOptions) -> ImageInput:
    """How bytes become what the model takes."""
    image = image_of(model)
    if image.channels == 1 and options.colours == "bgr":
        raise BroughtError("the CNN takes grey pictures, which have no --cnn-colours bgr")
    return image


def _strip(model: Any, said: Output | None) -> Output:
    """Take the activation off the end of the model; gives which it was."""
    check_activations(model)
    last = model.layers[-1]
    name = getattr(getattr(last, "activation", None), "__name__", type(last).__name__.lower())
    found = _ACTIVATIONS.get(name)
    if found is None or not hasattr(last, "activation"):
        raise BroughtError(
            f"the CNN ends in {type(last).__name__} {name!r}: it must end in a Dense or Activation "
            "layer whose activation is softmax, sigmoid or linear"
        )
    if said is not None and said != found:
        raise BroughtError(f"the CNN ends in {found}, and --cnn-output says {said}")
    _, keras = load()
    last.activation = keras.activations.linear
    return found


def _order(
    columns: int, output: Output, named: Sequence[str] | None, labels: Sequence[str]
) -> tuple[int, ...]:
    """By label its column."""
    if columns == 1 and output == "softmax":
        raise BroughtError("the CNN ends in a softmax of one unit, which is always 1")
    if max(columns, 2) != len(labels):
        raise BroughtError(
            f"the CNN gives {columns} numbers, and there are {len(labels)} labels: "
            f"{', '.join(labels)}"
        )
    names = list(named or labels)
    if sorted(names) != sorted(labels):
        raise BroughtError(
            f"--cnn-labels are {', '.join(names)}, and the labels {', '.join(labels)}: they must "
            "be the same, in the order of the CNN's columns"
        )
    return tuple(names.index(label) for label in labels)


def _with_bytes(
    model: Any, image: ImageInput, options: CnnOptions, order: Sequence[int], columns: int
) -> Any:
    """A model from uint8[N,H,W,C] to logits in the order of the labels."""
    _, keras = load()
    pixels = keras.Input((image.height, image.width, image.channels), dtype="uint8", name="pixels")
    factor, offset = SCALES[options.scale or "0-255"]
    given = keras.layers.Rescaling(factor, offset)(pixels)
    if options.colours == "bgr":
        given = keras.ops.flip(given, axis=-1)
    if options.embedding is None:
        logits, beside = model(given), []
    else:
        logits, *beside = _with_layer(model, options.embedding)(given)
    if columns == 1:
        logits = logits if order[0] == 0 else keras.ops.negative(logits)
    elif list(order) != sorted(order):
        logits = keras.ops.take(logits, list(order), axis=1)
    if beside:
        logits = keras.ops.concatenate([logits, *beside], axis=1)
    return keras.Model(pixels, {SCORES: logits}, name="brought")


def _with_layer(model: Any, name: str) -> Any:
    """The model with what one of its layers gives, a vector, beside its output."""
    _, keras = load()
    found = {layer.name: layer for layer in model.layers}
    if name not in found or len(found[name].output.shape) != 2:
        flat = [layer.name for layer in model.layers if len(layer.output.shape) == 2]
        raise BroughtError(f"--cnn-embedding {name}: the layers with vectors are {', '.join(flat)}")
    return keras.Model(model.input, [model.output, found[name].output])


def _check_same(found: BroughtCnn) -> None:
    """The model with bytes must say what the owner's says, on noise."""
    image = found.image
    shape = (_PROBES, image.height, image.width, image.channels)
    pixels = np.random.default_rng(11).integers(0, 256, shape, dtype=np.uint8)
    said = owner_predict(found.owner, pixels, found.options)
    logits = found.scores(pixels)[:, : found.columns]
    if found.columns == 1:
        logits = logits * (1 if found.order[0] == 0 else -1)
    else:
        said = said[:, found.order]
    apart = float(np.abs(_activated(logits, found.output) - said).max())
    if apart > _SAME * max(1.0, float(np.abs(said).max())):
        raise BroughtError(
            f"the CNN without its last activation differs from itself by {apart:.1e}: its last "
            "layer is not its output; end it in Dense(…, activation=…)"
        )


def _activated(logits: Floats, output: Output) -> Floats:
    if output == "sigmoid":
        return np.asarray(1 / (1 + np.exp(-logits)), np.float64)
    if output == "softmax":
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float64)
    return logits
