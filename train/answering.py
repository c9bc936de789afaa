"""The models as they are shipped, and what they give fusion to answer from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.manifest import ImageInput
from train.fusion.seam import IMAGE, TEXT, FittedFusion, Present
from train.image_model import image_outputs
from train.text_model import TextModel
from train.unseen import Floats


@dataclass(frozen=True, slots=True)
class Answering:
    """Text model, CNN, fusions by strategy, and the CNN of those that have one of their own."""

    text: TextModel
    image: Any
    image_input: ImageInput
    fusions: Mapping[str, FittedFusion]
    own_images: Mapping[str, Any]
    needs: Mapping[str, tuple[str, ...]]
    """The inputs that each strategy predicts with."""

    def inputs(
        self, text: Mapping[str, Floats], pixels: NDArray[np.uint8], present: Present
    ) -> dict[str, dict[str, Floats]]:
        """By strategy float64[N,…] by name, NaN where absent. `text` are the outputs of the rows
        that have one; `pixels` are of all rows.
        """
        there = present[:, IMAGE]
        common = {name: spread(values, present[:, TEXT]) for name, values in text.items()}
        shared = common | _image(self.image, pixels, there)
        own = {name: _image(model, pixels, there) for name, model in self.own_images.items()}
        return {
            strategy: {
                name: (shared | own.get(strategy, {}))[name] for name in self.needs[strategy]
            }
            for strategy in self.fusions
        }


def spread(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Values of the rows that are there in the order of all, NaN for the others."""
    placed = np.full((len(there), *values.shape[1:]), np.nan)
    placed[there] = values
    return placed


def _image(model: Any, pixels: NDArray[np.uint8], there: NDArray[np.bool_]) -> dict[str, Floats]:
    found = image_outputs(pixels[there], model)
    return {name: spread(values, there) for name, values in found.items()}
