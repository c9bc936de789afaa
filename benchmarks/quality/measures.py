"""Runs to figures beside their targets: medians over the seeds, and the worst where all must do."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.figures import Figure, at_least, at_most, equal
from benchmarks.quality.runs import Run
from inference.judging import SIGNIFICANT, calibration_error, mcnemar
from schemas.manifest import Evaluation, Manifest
from train.choice import holm

IMAGE_MIN: Final = 0.795
TEXT_MIN: Final = 0.765
WORDS_MIN: Final = 0.75
FUSED_MIN: Final = {
    "concatenation": 0.84,
    "weighted-average": 0.838,
    "voting": 0.838,
    "soft-voting": 0.838,
    "ensemble": 0.845,
    "multi-task": 0.838,
    "attention": 0.825,
}
ABOVE_SINGLE_MIN: Final = 0.02
CHOSEN_BELOW_MAX: Final = 0.015
FUSED_ERROR_MAX: Final = 0.04
SINGLE_ERROR_MORE_MAX: Final = 0.01
ALL_S_MAX: Final = 900.0
ENSEMBLE_S_MAX: Final = 480.0
ROWS_MIN: Final = 10_000
UNDECIDABLE_MAX: Final = 0.001
SAME: Final = 1e-9
CHANCE_ERRORS_MAX: Final = 3.0
_DRAWS: Final = 400


def accuracies(runs: Sequence[Run]) -> Iterator[Figure]:
    """Each modality by itself, and every strategy."""
    image, text = (
        median(_evaluation(run).accuracy[use] for run in runs) for use in ("image", "text")
    )
    yield at_least("image alone", image, IMAGE_MIN, _each(runs, "image"))
    yield at_least("text alone, words and characters", text, TEXT_MIN, _each(runs, "text"))
    for name in runs[0].summary.evaluations:
        found = [run.summary.evaluations[name].accuracy["fused"] for run in runs]
        note = f" ({' '.join(f'{each:.4f}' for each in found)})"
        yield at_least(f"{name}, fused", median(found), FUSED_MIN.get(name, 0.0), note)
    worst = min(_above(each) for run in runs for each in run.summary.evaluations.values())
    yield at_least("least gain over the better modality", worst, ABOVE_SINGLE_MIN)


def choices(runs: Sequence[Run]) -> Iterator[Figure]:
    """What was chosen on training rows, judged on the test half."""
    for run in runs:
        right = {name: run.right(name) for name in run.summary.evaluations}
        best = max(right, key=lambda name: right[name].mean())
        others = [name for name in right if name != best]
        p_values = dict(
            zip(others, holm([mcnemar(right[n], right[best]) for n in others]), strict=True)
        )
        chosen = run.summary.strategy
        below = float(right[best].mean() - right[chosen].mean())
        note = f" ({chosen}; best {best})"
        yield at_most(f"seed {run.seed}: chosen below the best", below, CHOSEN_BELOW_MAX, "", note)
        yield at_least(f"seed {run.seed}: its corrected p", p_values.get(chosen, 1.0), SIGNIFICANT)


def missing(runs: Sequence[Run]) -> Iterator[Figure]:
    """With one modality every strategy answers as that modality's own calibrated model."""
    for use in ("text", "image"):
        off = max(
            float(np.abs(said[use] - run.said["soft-voting"][use]).max())
            for run in runs
            for name, said in run.said.items()
            # Its image model is another: the CNN that never saw the rows it learned from.
            if (name, use) != ("attention", "image")
        )
        yield at_most(f"{use} alone: off its own calibrated model", off, SAME)


def calibration(runs: Sequence[Run]) -> Iterator[Figure]:
    """Of the chosen strategy, 15 bins."""
    fused = median(_evaluation(run).calibration_error["fused"] for run in runs)
    yield at_most("calibration error, fused", fused, FUSED_ERROR_MAX)
    for use in ("text", "image"):
        found = median(_evaluation(run).calibration_error[use] for run in runs)
        said = runs[0].said[runs[0].summary.strategy][use]
        bound = perfect_error(said, runs[0].seed) + SINGLE_ERROR_MORE_MAX
        yield at_most(f"calibration error, {use} alone", found, bound)


def perfect_error(said: NDArray[np.float64], seed: int) -> float:
    """The 95th percentile of the calibration error where the probabilities are the truth."""
    chance = np.random.default_rng(seed)
    edges = said.cumsum(axis=1)
    errors = []
    for _ in range(_DRAWS):
        drawn = (chance.random(len(said))[:, None] > edges[:, :-1]).sum(axis=1)
        errors.append(calibration_error(said, drawn))
    return float(np.quantile(errors, 0.95))


def durations(runs: Sequence[Run], ensemble: Run) -> Iterator[Figure]:
    """Training, export and report, wall time."""
    longest = max(run.seconds for run in runs)
    yield at_most("all strategies: training, export, report", longest, ALL_S_MAX, " s")
    yield at_most("ensemble alone: the same", ensemble.seconds, ENSEMBLE_S_MAX, " s")


def parities(manifests: Sequence[Manifest]) -> Iterator[Figure]:
    """The gate of every strategy."""
    for manifest in manifests:
        parity = manifest.parity
        scores = next(figure for figure in parity.figures if figure.stage == "scores")
        yield at_most(
            f"{manifest.strategy}: probabilities off by", scores.max_abs, scores.tolerance
        )
    rows = min(manifest.parity.rows for manifest in manifests)
    differing = max(manifest.parity.labels_differing for manifest in manifests)
    share = max(manifest.parity.undecidable / manifest.parity.rows for manifest in manifests)
    yield at_least("rows of the gate", rows, ROWS_MIN)
    yield equal("decidable labels that differ", differing, 0)
    yield at_most("undecidable rows", share, UNDECIDABLE_MAX)


def macro_f1(what: str, run: Run) -> Figure:
    """Fused, against the better modality alone, on the test posts that have both."""
    found = run.summary.macro_f1
    single = max(found["text"], found["image"])
    note = f" (text {found['text']:.4f}, image {found['image']:.4f})"
    return at_least(f"{what}: macro-F1, fused", found["fused"], single, note)


def recall_of_rarest(what: str, by_label: Run, by_row: Run) -> Figure:
    """How much of the rarest label is found with class weights, against without, fused."""
    rare = by_row.truth == np.bincount(by_row.truth).argmin()
    found, before = (
        float(each.right(each.summary.strategy)[rare].mean()) for each in (by_label, by_row)
    )
    return at_least(f"{what}: its recall", found, before)


def leakage(permuted: Run) -> Iterator[Figure]:
    """Labels that say nothing: whatever is above chance has leaked."""
    chance = _evaluation(permuted).baseline
    assert permuted.summary.choice is not None, "several strategies are compared"
    rows = len(permuted.truth)
    for name, evaluation in permuted.summary.evaluations.items():
        off = _errors(evaluation.accuracy["fused"], chance, rows)
        yield at_most(f"{name}, labels permuted: test off chance", off, CHANCE_ERRORS_MAX, " SE")
    for each in permuted.summary.choice.compared:
        off = _errors(each.accuracy, chance, each.rows)
        yield at_most(
            f"{each.strategy}, labels permuted: training off chance", off, CHANCE_ERRORS_MAX, " SE"
        )


def _errors(accuracy: float, chance: float, rows: int) -> float:
    """How many standard errors apart."""
    return float(abs(accuracy - chance) / np.sqrt(chance * (1 - chance) / rows))


def _evaluation(run: Run) -> Evaluation:
    return run.summary.evaluations[run.summary.strategy]


def _above(evaluation: Evaluation) -> float:
    accuracy = evaluation.accuracy
    return accuracy["fused"] - max(accuracy["text"], accuracy["image"])


def _each(runs: Sequence[Run], use: str) -> str:
    return f" ({' '.join(f'{_evaluation(run).accuracy[use]:.4f}' for run in runs)})"
