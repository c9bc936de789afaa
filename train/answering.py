"""The models as they are shipped, and what they give fusion to answer from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.manifest import ImageInput
from train.fusion.seam import IMAGE, TEXT, FittedFusion, Present
from train.image_model import image_outputs
from train.text_model import TextModel
from train.unseen import Floats

SHARED: Final = ""
"""The CNN of all strategies that have none of their own."""


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
        return self.together(text, self.seen(pixels[present[:, IMAGE]]), present)

    def seen(self, pixels: NDArray[np.uint8]) -> dict[str, dict[str, Floats]]:
        """What the CNNs say of pictures: by strategy its own, and under `SHARED` all others'."""
        models = {SHARED: self.image, **self.own_images}
        return {name: image_outputs(pixels, model) for name, model in models.items()}

    def together(
        self,
        text: Mapping[str, Floats],
        image: Mapping[str, Mapping[str, Floats]],
        present: Present,
    ) -> dict[str, dict[str, Floats]]:
        """As `inputs`, of what `seen` gave for the rows that have a picture."""
        common = {name: spread(values, present[:, TEXT]) for name, values in text.items()}
        by_cnn = {
            cnn: {name: spread(values, present[:, IMAGE]) for name, values in outputs.items()}
            for cnn, outputs in image.items()
        }
        return {
            strategy: {
                name: (common | by_cnn[SHARED] | by_cnn.get(strategy, {}))[name]
                for name in self.needs[strategy]
            }
            for strategy in self.fusions
        }


def spread(values: Floats, there: NDArray[np.bool_]) -> Floats:
    """Values of the rows that are there in the order of all, NaN for the others."""
    placed = np.full((len(there), *values.shape[1:]), np.nan)
    placed[there] = values
    return placed
