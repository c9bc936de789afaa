"""The CNNs: pixels uint8[N,H,W,C] in, one tensor of logits per head out.

`brief`: Conv 32 3×3, MaxPool, Flatten, Dense 64, and one head, a sigmoid where there are two
labels and a softmax otherwise. `compact`: 83,000 parameters with batch normalisation, and a second
head that says what the image itself shows, where the corpus tells. Somebody's own model has the
heads of `compact`.
"""

from dataclasses import dataclass
from typing import Any, Final

from features.images import decoder_version
from schemas.manifest import ImageInput
from train.keras_file import SCALES, sized
from train.own_cnn import MAP, VECTOR, body
from train.quiet_keras import load
from train.settings import Cnn, OwnCnn

SCORES, REGIONS = "image.scores", "image.regions"
_REGIONS_SIDE_MAX = 4
LABEL_HEAD, TARGET_HEAD = "label", "target"
# Short trainings need statistics that follow soon.
_BATCH_NORM_MOMENTUM = 0.9
_DROPOUT = 0.3
_HIDDEN = 64
# Width and stride of each convolution between two poolings. Multiples of 16: ONNX Runtime
# computes in blocks of so many channels, and 25 would cost as much as 32.
_COMPACT_STAGES = (((16, 2),), ((16, 1), (32, 1)), ((48, 1), (48, 1)), ((80, 1),))


# More of the picture is worth more than a second convolution over all of it: docs/decisions/0026.
_SIDE: Final = 64


@dataclass(frozen=True, slots=True)
class Heads:
    """How many labels there are, and how many classes images show; None where nothing tells."""

    labels_count: int
    targets_count: int | None

    def widths(self, cnn: Cnn) -> dict[str, int]:
        """Logits by head. One logit is enough for a sigmoid."""
        if cnn == "brief":
            return {LABEL_HEAD: 1 if self.labels_count == 2 else self.labels_count}
        if self.targets_count is None:
            return {LABEL_HEAD: self.labels_count}
        return {LABEL_HEAD: self.labels_count, TARGET_HEAD: self.targets_count}


def image_input(cnn: Cnn) -> ImageInput:
    """What the CNN takes: stretched to a square, in RGB; somebody's own takes what it takes."""
    if isinstance(cnn, OwnCnn):
        return sized(cnn.height, cnn.width, cnn.channels)
    return ImageInput(height=_SIDE, width=_SIDE, decoder_version=decoder_version())


def build(cnn: Cnn, image: ImageInput, heads: Heads) -> Any:
    """A new keras.Model whose output is a dict of logits by head; of somebody's own model
    `image.regions` are among them.
    """
    _, keras = load()
    shape = (image.height, image.width, image.channels)
    pixels = keras.layers.Input(shape, dtype="uint8", name="pixels")
    beside: dict[str, Any] = {}
    if isinstance(cnn, OwnCnn):
        hidden, beside[REGIONS] = _own(pixels, cnn, heads)
    else:
        hidden = _brief(pixels) if cnn == "brief" else _compact(pixels)
    outputs = {
        head: keras.layers.Dense(width, name=f"{head}_logits")(hidden)
        for head, width in heads.widths(cnn).items()
    }
    return keras.Model(pixels, outputs | beside, name="own" if beside else cnn)


def with_outputs(model: Any) -> Any:
    """The same weights with two outputs: `image.scores` [N,Ki], all heads side by side, and
    `image.regions` [N,R,C], the last feature map before it loses its places, in few regions.
    """
    _, keras = load()
    outputs = dict(model.output)
    regions = outputs.pop(REGIONS, None)
    logits = list(outputs.values())
    scores = logits[0] if len(logits) == 1 else keras.layers.Concatenate(name="scores")(logits)
    if regions is None:
        regions = _regions([layer.output for layer in model.layers])
    return keras.Model(model.input, {SCORES: scores, REGIONS: regions}, name=model.name)


def _regions(tensors: list[Any]) -> Any:
    _, keras = load()
    last = [tensor for tensor in tensors if len(tensor.shape) == 4][-1]
    side = -(-max(last.shape[1:3]) // _REGIONS_SIDE_MAX)
    pooled = last if side == 1 else keras.layers.AveragePooling2D(side, padding="same")(last)
    return keras.layers.Reshape((-1, last.shape[3]), name="regions")(pooled)


def _own(pixels: Any, cnn: OwnCnn, heads: Heads) -> tuple[Any, Any]:
    """Vector and regions; a model without a feature map has the vector as its one region."""
    _, keras = load()
    scaled = keras.layers.Rescaling(*SCALES[cnn.scale])(pixels)
    found = body(cnn, heads.labels_count)(scaled)
    if MAP in found:
        return found[VECTOR], _regions([found[MAP]])
    return found[VECTOR], keras.layers.Reshape((1, -1), name="regions")(found[VECTOR])


def _brief(pixels: Any) -> Any:
    _, keras = load()
    layers = keras.layers
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    return layers.Dense(_HIDDEN, activation="relu", name="embedding")(x)


def _compact(pixels: Any) -> Any:
    _, keras = load()
    layers = keras.layers
    x = layers.Rescaling(1 / 127.5, -1)(pixels)
    for number, stage in enumerate(_COMPACT_STAGES):
        x = layers.MaxPooling2D()(x) if number else x
        for width, stride in stage:
            x = layers.Conv2D(width, 3, strides=stride, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=_BATCH_NORM_MOMENTUM)(x)
            x = layers.ReLU()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(_DROPOUT)(x)
    return layers.Dense(_HIDDEN, activation="relu", name="embedding")(x)
