"""A Keras file to the model in it, and to how its pixels are made; or why it cannot be served."""

from pathlib import Path
from typing import Any, Final

from features.images import decoder_version
from schemas.manifest import ImageInput
from train.errors import BroughtError
from train.quiet_keras import load
from train.settings import Scale

SUFFIXES: Final = frozenset({".keras", ".h5", ".hdf5"})
SCALES: Final[dict[Scale, tuple[float, float]]] = {
    "0-255": (1.0, 0.0),
    "0-1": (1 / 255, 0.0),
    "-1..1": (1 / 127.5, -1.0),
}
"""What bytes are multiplied by, and what is added then."""


def loaded(file: Path) -> Any:
    """The keras.Model, with the weights that it was saved with. Raises BroughtError."""
    if file.suffix not in SUFFIXES:
        raise BroughtError(f"{file} is no Keras file: save the model as model.keras")
    if not file.is_file():
        raise BroughtError(f"{file} is not there: name the file that the model was saved in")
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


def image_of(model: Any) -> ImageInput:
    """How bytes become what the model takes: a picture in, a vector out. Raises BroughtError."""
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
    return sized(height, width, channels)


def sized(height: int, width: int, channels: int) -> ImageInput:
    """Pictures stretched to this size, grey where there is one channel."""
    if channels == 1:
        return ImageInput(height, width, 1, "L", decoder_version=decoder_version())
    return ImageInput(height, width, decoder_version=decoder_version())


def scale_of(model: Any, said: Scale | None) -> Scale:
    """What was said; a model that scales for itself takes bytes. Raises BroughtError."""
    if said is not None:
        return said
    if not {type(layer).__name__ for layer in model.layers} & {"Rescaling", "Normalization"}:
        raise BroughtError(
            "the CNN does not scale its pixels, so they were scaled before it: say how by "
            "--cnn-scale 0-1, -1..1, or 0-255 for not at all"
        )
    return "0-255"


def check_activations(model: Any) -> None:
    """Refuse an exact gelu, which tf2onnx turns into an operator that ONNX does not have."""
    for layer in model._flatten_layers():  # noqa: SLF001 -- Keras has no public walk of nested layers.
        activation = getattr(layer, "activation", None)
        if getattr(activation, "__name__", "") == "gelu":
            raise BroughtError(
                f"layer {layer.name!r} uses the exact gelu, which ONNX cannot express: train with "
                "keras.activations.gelu(x, approximate=True) or relu"
            )
