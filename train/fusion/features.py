"""Several inputs side by side as one vector, standardised; what is absent is zeros before that."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from train.fusion.seam import TEXT_EMBEDDING, Present, TrainingInputs, where_present
from train.unseen import Floats

_TERMS = 64
"""Of a post of usual length: each costs one row of the embedding."""


@dataclass(frozen=True, slots=True)
class Features:
    """The inputs' names in their order, the modalities, and the scaler's float64[D] each."""

    names: tuple[str, ...]
    modalities: tuple[str, ...]
    widths: tuple[int, ...]
    mean: Floats
    scale: Floats

    @classmethod
    def fit(cls, names: tuple[str, ...], training: TrainingInputs) -> "Features":
        """The mean and scale of the complete rows."""
        rows = training.complete
        parts = [training.scores(name)[rows] for name in names]
        scaler = StandardScaler().fit(np.concatenate(parts, axis=1))
        widths = tuple(part.shape[1] for part in parts)
        return cls(names, training.modalities, widths, scaler.mean_, scaler.scale_)

    def scaled(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,D]; values of absent modalities are never looked at."""
        parts = list(self.kept(inputs, present).values())
        return np.asarray((np.concatenate(parts, axis=1) - self.mean) / self.scale, np.float64)

    def kept(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """The inputs by name, zeros where their modality is absent."""
        return {
            name: where_present(inputs[name], present, self.modality(name)) for name in self.names
        }

    def modality(self, name: str) -> int:
        """Which modality an input belongs to."""
        return self.modalities.index(name.partition(".")[0])

    def columns(self, modality: int) -> NDArray[np.bool_]:
        """bool[D]: which of the numbers are a modality's."""
        own = [self.modality(name) == modality for name in self.names]
        return np.repeat(own, self.widths)

    def place(self, name: str) -> slice:
        """Where an input stands."""
        number = self.names.index(name)
        start = sum(self.widths[:number])
        return slice(start, start + self.widths[number])

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """What the text's embedding takes, and the scaler."""
        embedding = inputs[TEXT_EMBEDDING].shape[1] if TEXT_EMBEDDING in self.names else 0
        return int(_TERMS * embedding + len(self.mean))

    def arrays(self) -> dict[str, Floats]:
        """As weights.npz holds them."""
        return {"mean": self.mean, "scale": self.scale}
