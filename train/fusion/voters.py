"""Each modality as a voter: its calibrated probabilities, which both kinds of voting count."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from train.calibration import Calibration
from train.fusion.seam import Present, TrainingInputs, single, where_present
from train.unseen import Floats

FLOOR: Final = 1e-12
"""The least probability whose logarithm is taken."""


@dataclass(frozen=True, slots=True)
class Voters:
    """The modalities' calibrations by name, in their order."""

    calibrations: Mapping[str, Calibration]

    def probabilities(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """float64[N,M,K]: what each says; of absent modalities it is meaningless, but a number."""
        said = [
            voter.probabilities(where_present(inputs[f"{name}.scores"], present, m))
            for m, (name, voter) in enumerate(self.calibrations.items())
        ]
        return np.stack(said, axis=1)

    @property
    def multiply_adds(self) -> int:
        """Of one post."""
        return int(sum(voter.matrix.size for voter in self.calibrations.values()))

    def arrays(self) -> dict[str, Floats]:
        """As weights.npz holds them."""
        parts = {f"{name}.A": voter.matrix for name, voter in self.calibrations.items()}
        return parts | {f"{name}.b": voter.bias for name, voter in self.calibrations.items()}


def fit_voters(training: TrainingInputs) -> Voters:
    """Each voter on the rows that have its modality."""
    return Voters(
        {name: single(training, modality) for modality, name in enumerate(training.modalities)}
    )
