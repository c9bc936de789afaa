"""Scores of rows that nothing was fitted on, to accuracy and calibration error."""

from collections.abc import Mapping

import numpy as np

from schemas.manifest import Evaluation
from train.calibration import Labels, calibration_error
from train.fusion.seam import IMAGE, TEXT, FittedFusion, Present
from train.unseen import Floats

USES: dict[str, tuple[int, ...]] = {"text": (TEXT,), "image": (IMAGE,), "fused": (TEXT, IMAGE)}


def evaluate(
    fusion: FittedFusion, inputs: Mapping[str, Floats], labels: Labels, present: Present
) -> Evaluation:
    """Each modality alone, and both, over the rows that have both: the same rows for all three."""
    rows = present.all(axis=1)
    chosen = {name: values[rows] for name, values in inputs.items()}
    truth = labels[rows]
    accuracy, error = {}, {}
    for use, modalities in USES.items():
        shown = np.zeros((len(truth), present.shape[1]), np.bool_)
        shown[:, modalities] = True
        probabilities = fusion.predict(chosen, shown)
        accuracy[use] = float((probabilities.argmax(axis=1) == truth).mean())
        error[use] = calibration_error(probabilities, truth)
    baseline = float(np.bincount(truth).max() / len(truth))
    return Evaluation(len(truth), accuracy, error, baseline)
