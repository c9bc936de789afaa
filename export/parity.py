"""The gate: what the bundle says, from raw text and files, against what training wrote down."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from export.errors import Difference, ExportError, ParityError
from export.models_folder import ModelsFolder
from export.reference import Reference, images_of
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


@dataclass(frozen=True, slots=True)
class Stage:
    """One tensor, by row: training's float64 and the bundle's float32; NaN where absent."""

    name: str
    reference: NDArray[np.float64]
    found: NDArray[np.float64]
    tolerance: float

    @property
    def differences(self) -> NDArray[np.float64]:
        """The largest difference of each row; absent on one side alone is infinitely far."""
        apart = np.abs(self.reference - self.found)
        apart[np.isnan(self.reference) & np.isnan(self.found)] = 0.0
        apart[np.isnan(apart)] = np.inf
        largest: NDArray[np.float64] = apart.max(axis=1, initial=0.0)
        return largest

    @property
    def figure(self) -> ParityFigure:
        """How far apart the stage is at most, and over how many rows that hold a value."""
        rows = int((~np.isnan(self.reference).all(axis=1)).sum())
        largest = float(self.differences.max(initial=0.0))
        return ParityFigure(self.name, rows, largest, self.tolerance)


def check(
    bundle: Bundle, folder: ModelsFolder, corpus: Path, tolerance: float, progress: Progress
) -> Parity:
    """Run the gate. Raises ParityError, or ExportError when a row cannot be run at all."""
    reference = Reference.of(folder)
    cut_apart = list(_tokens(bundle, reference))
    found = _found(Classifier(bundle), reference, corpus, progress)
    strategy = bundle.manifest.strategy
    published = _published(strategy, reference, found, tolerance)
    stages = [*_stages(bundle, reference, found), *published]
    labels, undecidable = _labels(published[0], reference, reference.gaps(strategy))
    failures = [*cut_apart, *(f for stage in stages for f in _failures(stage, reference)), *labels]
    if failures:
        raise ParityError(failures)
    rows = len(reference.rows)
    if undecidable > max(1.0, UNDECIDABLE_MAX * rows):
        raise ExportError(
            f"no bundle was written: {undecidable} of {rows} reference rows are so near to a tie "
            "that rounding decides their label; train on more rows, or with other settings"
        )
    adversarial = sum(row.set == "adversarial" for row in reference.rows)
    tokens = sum(len(words) for words in reference.tokens if words is not None)
    cut = ParityFigure("tokens", sum(words is not None for words in reference.tokens), 0.0, 0.0)
    figures = (cut, *(stage.figure for stage in stages))
    return Parity(figures, rows, adversarial, tokens, len(labels), undecidable)


def _tokens(bundle: Bundle, reference: Reference) -> Iterator[Difference]:
    """Every row that is cut otherwise than by jieba."""
    words = [v for v in bundle.vectorisers if v.block.analyzer == "words"]
    for row, tokens in zip(reference.rows, reference.tokens, strict=True):
        if not words or tokens is None or row.text is None:
            continue
        cut = words[0].cut(row.text)
        if cut != tokens:
            yield _cut_apart(row.id, tokens, cut)


def _cut_apart(row: str, tokens: Sequence[str], cut: Sequence[str]) -> Difference:
    """The words from the first that differs."""
    same = sum(1 for _ in _common(tokens, cut))
    here = slice(max(0, same - 1), same + 5)
    apart = float(len(set(tokens) ^ set(cut)) or 1)
    return Difference("tokens", row, "/".join(tokens[here]), "/".join(cut[here]), apart)


def _common(a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    for one, other in zip(a, b, strict=False):
        if one != other:
            return
        yield one


def _found(
    classifier: Classifier, reference: Reference, corpus: Path, progress: Progress
) -> dict[str, NDArray[Any]]:
    """All stages of all rows, batch by batch."""
    batches: list[dict[str, NDArray[Any]]] = []
    rows = reference.rows
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        texts = [row.text for row in batch]
        pixels = images_of(batch, classifier.manifest.image, corpus, reference.images)
        batches.append(classifier.stages(classifier.features(texts, pixels)))
        progress("parity", min(start + _BATCH, len(rows)), len(rows))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _stages(
    bundle: Bundle, reference: Reference, found: dict[str, NDArray[Any]]
) -> Iterator[Stage]:
    """The modalities' raw outputs."""
    if not np.array_equal(found["present"], reference.present):
        row = reference.rows[int(np.flatnonzero((found["present"] != reference.present).any(1))[0])]
        raise ExportError(
            f"no bundle was written: training and export do not agree on which modalities the "
            f"reference row {row.id!r} holds; train again"
        )
    for column, modality in enumerate(bundle.manifest.modalities):
        for name in bundle.manifest.graphs[modality].outputs:
            wanted = _flat(reference.output(bundle.manifest.strategy, name))
            held = _flat(found[name].astype(np.float64))
            held[~reference.present[:, column]] = np.nan
            tolerance_here = RAW_TOLERANCES[modality] * max(1.0, _largest(wanted))
            yield Stage(name, wanted, held, tolerance_here)


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
            stages.append(Stage(name, wanted, held, tolerance))
    return stages


def _flat(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1)


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.nanmax(np.abs(values), initial=0.0))


def _failures(stage: Stage, reference: Reference) -> Iterator[Difference]:
    """The rows beyond the tolerance, worst first."""
    apart = stage.differences
    for row in np.argsort(-apart, kind="stable").tolist():
        if apart[row] <= stage.tolerance:
            return
        yield Difference(
            stage.name,
            reference.rows[row].id,
            _numbers(stage.reference[row]),
            _numbers(stage.found[row]),
            float(apart[row]),
        )


def _numbers(values: NDArray[np.float64]) -> str:
    shown = " ".join(f"{value:.7f}" for value in values[:8])
    return shown + (f" … ({len(values)} in all)" if len(values) > 8 else "")


def _labels(
    stage: Stage, reference: Reference, gaps: NDArray[np.float64]
) -> tuple[list[Difference], int]:
    """Labels that differ though they can be told apart, and the rows where they cannot."""
    ordered = np.sort(stage.reference, axis=1)
    gaps = np.minimum(gaps, ordered[:, -1] - ordered[:, -2])
    decidable = gaps > 2 * stage.tolerance
    said = stage.reference.argmax(axis=1)
    found = stage.found.argmax(axis=1)
    wrong: list[int] = np.flatnonzero(decidable & (said != found)).tolist()
    return [
        Difference("labels", reference.rows[row].id, str(said[row]), str(found[row]), 1.0)
        for row in wrong
    ], int((~decidable).sum())
