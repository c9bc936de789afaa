"""A bundle made of brought models, row by row against what their owner's `.predict` says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from export.models_folder import read
from export.reference import Pictures, Reference
from inference.bundle import load
from inference.classifier import Classifier
from schemas.verdict import Modality
from train.brought.bringing import Summary

_BATCH: Final = 64


@dataclass(frozen=True, slots=True)
class Agreement:
    """One modality: the rows that hold it, those labelled alike, and the raw scores' worst gap."""

    modality: Modality
    rows: int
    equal: int
    worst: float


def agreements(models: Path, bundle: Path, summary: Summary) -> Iterator[Agreement]:
    """Each brought model, over all rows of the gate."""
    found = _raw_scores(models, bundle)
    scored = summary.scored
    for column, (modality, model) in enumerate(summary.brought.models.items()):
        there = scored.present[:, column]
        name = f"{modality}.scores"
        raw = found[name][there].astype(np.float64)
        equal = model.labels(raw) == scored.predicted[modality][there]
        worst = float(np.abs(raw - scored.scores[name][there]).max(initial=0.0))
        yield Agreement(modality, int(there.sum()), int(equal.sum()), worst)


def agreement_line(agreement: Agreement) -> str:
    """It in words."""
    return (
        f"{agreement.modality}: equal to the owner's predict in {agreement.equal:,} of "
        f"{agreement.rows:,} rows ({agreement.equal / max(1, agreement.rows):.2%}), raw scores "
        f"differ by at most {agreement.worst:.1e}"
    )


def _raw_scores(models: Path, bundle: Path) -> Mapping[str, NDArray[Any]]:
    """What the graphs before fusion give for the rows of the gate."""
    folder = read(models)
    reference, classifier = Reference.of(folder), Classifier(load(bundle))
    corpus = Path(folder.models.corpus_path)
    pictures = Pictures(folder.models.image, corpus, reference.images)
    parts = []
    for start in range(0, len(reference.rows), _BATCH):
        rows = reference.rows[start : start + _BATCH]
        features = classifier.features([row.text for row in rows], pictures.of(rows))
        parts.append(classifier.stages(features))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
