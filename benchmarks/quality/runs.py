"""One training with all that follows from it: bundles, the report, and what the test half said."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.bundle import export
from schemas.manifest import Manifest
from schemas.progress import silent
from train.fusion.registry import names
from train.report.writing import write_report
from train.settings import TrainSettings
from train.training import TrainingSummary, train


@dataclass(frozen=True, slots=True)
class Run:
    """What one seed gave.

    `said` by strategy and use float64[n,K], of the posts that have both modalities; `truth`
    int64[n]. `seconds` of training, of the export of the chosen strategy, and of the report.
    """

    seed: int
    folder: Path
    summary: TrainingSummary
    manifests: Mapping[str, Manifest]
    said: Mapping[str, Mapping[str, NDArray[np.float64]]]
    truth: NDArray[np.int64]
    seconds: float

    def right(self, strategy: str, use: str = "fused") -> NDArray[np.bool_]:
        """bool[n]: which posts a strategy labelled rightly."""
        return np.asarray(self.said[strategy][use].argmax(axis=1) == self.truth, np.bool_)


def run(
    corpus: Path, folder: Path, settings: TrainSettings, exported: Sequence[str] | None = None
) -> Run:
    """Train; export the chosen strategy, and those named; report. Bundles stand in `folder`."""
    start = time.perf_counter()
    models = folder / "models"
    summary = train(corpus, models, settings, told)
    manifests = {summary.strategy: _export(models, folder, summary.strategy)}
    bundle = folder / summary.strategy
    write_report(models, models / "report.html", silent, corpus, (bundle,), "en")
    seconds = time.perf_counter() - start
    for name in exported or ():
        if name not in manifests:
            manifests[name] = _export(models, folder, name)
    said, truth = _tested(models, list(summary.evaluations))
    return Run(settings.seed, folder, summary, manifests, said, truth, seconds)


def strategies() -> tuple[str, ...]:
    """All there are."""
    return names()


def _export(models: Path, folder: Path, name: str) -> Manifest:
    told(f"exporting {name}", 1, 1)
    return export(models, folder / name, silent, strategy_name=name)


def _tested(
    models: Path, strategies: Sequence[str]
) -> tuple[dict[str, dict[str, NDArray[np.float64]]], NDArray[np.int64]]:
    found = np.load(models / "test.npz")
    both = found["present"].all(axis=1)
    said = {
        name: {use: found[f"{name}.{use}"][both] for use in ("text", "image", "fused")}
        for name in strategies
    }
    return said, found["labels"][both]


def told(step: str, done: int, total: int, note: str = "") -> None:
    """Progress of a program of figures: on the error stream, now and then."""
    if done == total or note:
        print(f"{step} {done}/{total} {note}", file=sys.stderr, flush=True)  # noqa: T201 - as above.
