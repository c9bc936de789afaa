"""A brought Keras CNN as serving takes it: bytes in, logits out, and what its owner's own says.

Scaling and the order of the colours are put in front of it; a softmax or sigmoid at its end is
taken off, since fusion wants the logits beneath.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from features.images import decoder_version
from schemas.manifest import ImageInput
from train.calibration import Calibration
from train.errors import BroughtError
from train.quiet_keras import load
from train.unseen import Floats

Scale = Literal["0-255", "0-1", "-1..1"]
Output = Literal["sigmoid", "softmax", "logits"]
Colours = Literal["rgb", "bgr"]

SCORES: Final = "image.scores"
_SCALES: Final[dict[str, tuple[float, float]]] = {
    "0-255": (1.0, 0.0),
    "0-1": (1 / 255, 0.0),
    "-1..1": (1 / 127.5, -1.0),
}
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
    owner, stripped = _loaded(file), _loaded(file)
    image = _image(owner, options)
    options = _scaled(owner, options)
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
    factor, offset = _SCALES[options.scale or "0-255"]
    given = pixels[..., ::-1] if options.colours == "bgr" else pixels
    scaled = (given.astype(np.float32) * np.float32(factor)) + np.float32(offset)
    return np.asarray(owner.predict(scaled, batch_size=_ROWS, verbose=0), np.float64)


def _loaded(file: Path) -> Any:
    if file.suffix not in {".keras", ".h5", ".hdf5"}:
        raise BroughtError(f"{file} is no Keras file: save the model as model.keras")
    _, keras = load()
    try:
        model = keras.models.load_model(file, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        raise BroughtError(
            f"{file} cannot be read: {str(error).splitlines()[0]}; a Lambda layer or a class of "
            "your own must be replaced by layers of Keras before saving"
        ) from error
    if not isinstance(model, keras.Sequential):
        return model
    if not model.built:
        raise BroughtError(f"{file} holds layers without weights: fit the model, then save it")
    # By itself it has no output until it is called.
    return keras.Model(model.inputs, model.outputs[0])


def _image(model: Any, options: CnnOptions) -> ImageInput:
    """How bytes become what the model takes."""
    inputs, outputs = model.inputs or [], model.outputs or []
    if len(inputs) != 1 or len(outputs) != 1 or isinstance(model.output, dict):
        raise BroughtError(
            f"the CNN has {len(inputs)} inputs and {len(outputs)} outputs by name or number; one "
            "picture in and one tensor of labels out can be served"
        )
    shape, out = tuple(inputs[0].shape[1:]), tuple(outputs[0].shape[1:])
    if len(shape) != 3 or len(out) != 1 or None in out:
        raise BroughtError(f"the CNN takes {shape} and gives {out}, and not (H, W, C) and (K,)")
    height, width, channels = shape
    if None in shape:
        raise BroughtError(
            f"the CNN takes pictures of any size, {shape}: build it anew with the size that it "
            "was trained on, keras.Input((64, 64, 3)), and set its weights"
        )
    if channels not in {1, 3}:
        raise BroughtError(f"the CNN takes {channels} channels, {shape}; the last must be 1 or 3")
    if channels == 1 and options.colours == "bgr":
        raise BroughtError("the CNN takes grey pictures, which have no --cnn-colours bgr")
    if channels == 1:
        return ImageInput(height, width, 1, "L", decoder_version=decoder_version())
    return ImageInput(height, width, decoder_version=decoder_version())


def _scaled(model: Any, options: CnnOptions) -> CnnOptions:
    """The options with a scale; a model that scales for itself takes bytes."""
    if options.scale is not None:
        return options
    if not {type(layer).__name__ for layer in model.layers} & {"Rescaling", "Normalization"}:
        raise BroughtError(
            "the CNN does not scale its pixels, so they were scaled before it: say how by "
            "--cnn-scale 0-1, -1..1, or 0-255 for not at all"
        )
    return CnnOptions(options.labels, options.output, "0-255", options.colours, options.embedding)


def _strip(model: Any, said: Output | None) -> Output:
    """Take the activation off the end of the model; gives which it was."""
    _check_activations(model)
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


def _check_activations(model: Any) -> None:
    """Refuse an exact gelu, which tf2onnx turns into an operator that ONNX does not have."""
    for layer in model._flatten_layers():  # noqa: SLF001 -- Keras has no public walk of nested layers.
        activation = getattr(layer, "activation", None)
        if getattr(activation, "__name__", "") == "gelu":
            raise BroughtError(
                f"layer {layer.name!r} uses the exact gelu, which ONNX cannot express: train with "
                "keras.activations.gelu(x, approximate=True) or relu"
            )


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
    factor, offset = _SCALES[options.scale or "0-255"]
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
