"""Scores of rows that nothing was fitted on, to answers, accuracy and calibration error."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from inference.judging import calibration_error, confusion, label_figures, macro_f1
from schemas.manifest import Evaluation
from train.calibration import Labels
from train.fusion.seam import IMAGE, TEXT, FittedFusion, Present
from train.unseen import Floats

USES: dict[str, tuple[int, ...]] = {"text": (TEXT,), "image": (IMAGE,), "fused": (TEXT, IMAGE)}


@dataclass(frozen=True, slots=True)
class Answers:
    """What a strategy says of posts.

    `scores` by use, float64[N,K]: of each post as if it had just those modalities, NaN where it
    lacks one of them. `weights` float64[N,M] of what each post has, where the strategy has them.
    """

    scores: Mapping[str, Floats]
    weights: Floats | None


def answer(
    fusion: FittedFusion,
    inputs: Mapping[str, Floats],
    present: Present,
    uses: Mapping[str, tuple[int, ...]] = USES,
) -> Answers:
    """Every post by every use that it can have."""
    scores: dict[str, Floats] = {}
    for use, modalities in uses.items():
        having = np.flatnonzero(present[:, modalities].all(axis=1))
        shown = np.zeros((len(having), present.shape[1]), np.bool_)
        shown[:, modalities] = True
        said = fusion.predict({name: values[having] for name, values in inputs.items()}, shown)
        scores[use] = np.full((len(present), said.shape[1]), np.nan)
        scores[use][having] = said
    return Answers(scores, fusion.beside(inputs, present).get("weights"))


def evaluate(answers: Answers, labels: Labels, present: Present) -> Evaluation:
    """Each modality alone, and both, over the rows that have both: the same rows for all three."""
    rows = present.all(axis=1)
    truth = labels[rows]
    accuracy, error = {}, {}
    for use, scores in answers.scores.items():
        probabilities = scores[rows]
        accuracy[use] = float((probabilities.argmax(axis=1) == truth).mean())
        error[use] = calibration_error(probabilities, truth)
    baseline = float(np.bincount(truth).max() / len(truth))
    return Evaluation(len(truth), accuracy, error, baseline)


def macro_f1s(answers: Answers, labels: Labels, present: Present) -> dict[str, float]:
    """By use, over the same rows: the mean of the labels' F1, in which each weighs the same."""
    rows = present.all(axis=1)
    found = {}
    for use, scores in answers.scores.items():
        count = scores.shape[1]
        counts = confusion(scores[rows].argmax(axis=1), labels[rows], count)
        found[use] = macro_f1(label_figures(counts, [str(label) for label in range(count)]))
    return found
