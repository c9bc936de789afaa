"""A batch of images as bytes goes in, their pixels or the reasons against them come out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput


class Decoder(Protocol):
    """Turns bytes that a stranger wrote into pixels."""

    def decode(self, images: Sequence[bytes]) -> list[NDArray[np.uint8] | ImageProblem]:
        """Give each image's uint8[H,W,C] as the model wants it, or why not; in the same order."""


class InProcessDecoder:
    """Decodes where it is called, by the treatment that `spec` declares."""

    def __init__(self, spec: ImageInput, limits: ImageLimits) -> None:
        self._spec = spec
        self._limits = limits

    def decode(self, images: Sequence[bytes]) -> list[NDArray[np.uint8] | ImageProblem]:
        """Decode one after the other; a bad one costs itself alone."""
        return [decode(image, self._spec, self._limits) for image in images]
