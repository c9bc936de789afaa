"""The gate: what the bundle says, from raw text and files, against what training wrote down."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from export.errors import Difference, ExportError, ParityError
from export.models_folder import ModelsFolder
from export.reference import Pictures, Reference
from export.stage import Stage, failures, shown
from export.text_stages import feature_differences, token_differences
from inference.bundle import Bundle
from inference.classifier import Classifier
from schemas.manifest import Parity, ParityFigure
from schemas.progress import Progress
from schemas.verdict import Modality

RAW_TOLERANCES: Final[dict[Modality, float]] = {"text": 5e-6, "image": 2e-5}
"""Of raw scores and embeddings, relative to the largest: they are on no fixed scale."""

UNDECIDABLE_MAX: Final = 0.001
"""The share of rows whose label may hang on rounding."""

_BATCH: Final = 64


def check(
    bundle: Bundle, folder: ModelsFolder, corpus: Path, tolerance: float, progress: Progress
) -> Parity:
    """Run the gate. Raises ParityError, or ExportError when a row cannot be run at all."""
    reference = Reference.of(folder)
    before = [
        *token_differences(bundle, reference),
        *feature_differences(bundle, reference, folder),
    ]
    found = _found(Classifier(bundle), reference, corpus, progress)
    strategy = bundle.manifest.strategy
    published = _published(strategy, reference, found, tolerance)
    stages = [*_stages(bundle, reference, found, folder), *published]
    labels, undecidable = _labels(published[0], reference, reference.gaps(strategy), bundle)
    apart = [*before, *(each for stage in stages for each in failures(stage, reference)), *labels]
    rows = len(reference.rows)
    if apart:
        raise ParityError(apart, rows, brought=folder.brought)
    if undecidable > max(1.0, UNDECIDABLE_MAX * rows):
        other = _more_rows(folder)
        raise ExportError(
            f"no bundle was written: {undecidable} of {rows} reference rows are so near to a tie "
            f"that rounding decides their label; {other}, or choose another strategy"
        )
    adversarial = sum(row.set == "adversarial" for row in reference.rows)
    tokens = sum(len(words) for words in reference.tokens if words is not None)
    figures = (*_exact(reference), *(stage.figure for stage in stages))
    return Parity(figures, rows, adversarial, tokens, len(labels), undecidable)


def _more_rows(folder: ModelsFolder) -> str:
    """What tells ties apart."""
    if not folder.brought:
        return "train on more rows"
    if not folder.models.settings.get("calibrated"):
        return "name a --held-out-corpus, for calibration tells equal votes apart"
    return "bring a larger corpus"


def _exact(reference: Reference) -> Iterator[ParityFigure]:
    """The stages that must be equal, and are, or there would be no figures."""
    yield ParityFigure("tokens", sum(words is not None for words in reference.tokens), 0.0, 0.0)
    if reference.features:
        counted = [each.lengths > 0 for each in reference.features.values()]
        yield ParityFigure("features", int(np.any(counted, axis=0).sum()), 0.0, 0.0)


def _found(
    classifier: Classifier, reference: Reference, corpus: Path, progress: Progress
) -> dict[str, NDArray[Any]]:
    """All stages, batch by batch, of the rows that the reference has of each."""
    parts: dict[str, list[NDArray[Any]]] = {}
    pictures = Pictures(classifier.manifest.image, corpus, reference.images)
    rows = reference.rows
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        texts = [row.text for row in batch]
        stages = classifier.stages(classifier.features(texts, pictures.of(batch)))
        for name, values in stages.items():
            places = reference.covered(name)
            here = places[(places >= start) & (places < start + len(batch))] - start
            parts.setdefault(name, []).append(values[here])
        progress("parity", min(start + _BATCH, len(rows)), len(rows))
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _stages(
    bundle: Bundle, reference: Reference, found: dict[str, NDArray[Any]], folder: ModelsFolder
) -> Iterator[Stage]:
    """The modalities' raw outputs."""
    if not np.array_equal(found["present"], reference.present):
        row = reference.rows[int(np.flatnonzero((found["present"] != reference.present).any(1))[0])]
        raise ExportError(
            f"no bundle was written: training and export do not agree on which modalities the "
            f"reference row {row.id!r} holds; {folder.again}"
        )
    for column, modality in enumerate(bundle.manifest.modalities):
        for name in bundle.manifest.graphs[modality].outputs:
            places = reference.covered(name)
            wanted = _flat(reference.output(bundle.manifest.strategy, name))
            held = _flat(found[name].astype(np.float64))
            held[~reference.present[places, column]] = np.nan
            tolerance_here = RAW_TOLERANCES[modality] * max(1.0, _largest(wanted))
            yield Stage(name, wanted, held, tolerance_here, places)


def _published(
    strategy: str, reference: Reference, found: dict[str, NDArray[Any]], tolerance: float
) -> list[Stage]:
    """The scores, and the weights where there are any.

    A row that hung on a comparison too near to call may be either of two things, and is neither.
    """
    near = reference.gaps(strategy) <= 2 * tolerance
    stages = []
    for name in ("scores", "weights"):
        if name in found:
            wanted = reference.output(strategy, f"{strategy}.{name}").copy()
            held = found[name].astype(np.float64)
            wanted[near], held[near] = np.nan, np.nan
            stages.append(Stage(name, wanted, held, tolerance, np.arange(len(wanted))))
    return stages


def _flat(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1)


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.nanmax(np.abs(values), initial=0.0))


def _labels(
    stage: Stage, reference: Reference, gaps: NDArray[np.float64], bundle: Bundle
) -> tuple[list[Difference], int]:
    """Labels that differ though they can be told apart, and the rows where they cannot."""
    ordered = np.sort(stage.reference, axis=1)
    gaps = np.minimum(gaps, ordered[:, -1] - ordered[:, -2])
    decidable = gaps > 2 * stage.tolerance
    said = stage.reference.argmax(axis=1)
    found = stage.found.argmax(axis=1)
    wrong: list[int] = np.flatnonzero(decidable & (said != found)).tolist()
    names = bundle.manifest.labels
    return [
        Difference(
            "labels",
            reference.rows[row].id,
            shown(reference.rows[row]),
            names[said[row]],
            names[found[row]],
            1.0,
            0.0,
        )
        for row in wrong
    ], int((~decidable).sum())
