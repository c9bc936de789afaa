"""A models folder, its corpus and its bundles, read and found to belong together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from inference.bundle import Bundle
from inference.bundle import load as load_bundle
from schemas.models import MODELS_CONTRACT_VERSION, MODELS_FILE, Models
from train.calibration import Labels
from train.corpus import Corpus
from train.corpus import load as load_corpus
from train.errors import ReportError
from train.evaluation import USES, Answers
from train.fusion.seam import Present
from train.unseen import Floats

_TRAIN_AGAIN = "train again with `tuwen train`"


@dataclass(frozen=True, slots=True)
class TestHalf:
    """What every strategy says of the test half: rows in the corpus's order."""

    ids: tuple[str, ...]
    labels: Labels
    present: Present
    answers: dict[str, Answers]

    @property
    def complete(self) -> NDArray[np.int64]:
        """The places of the rows that have everything."""
        return np.flatnonzero(self.present.all(axis=1))


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Training rows with the raw scores of models that never saw them, by modality float64[N,…],
    NaN where there are none. `folds` int64[N] keep duplicates together.
    """

    ids: tuple[str, ...]
    labels: Labels
    folds: NDArray[np.int64]
    scores: tuple[Floats, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """All that a report is made of."""

    folder: Path
    models: Models
    corpus: Corpus
    test: TestHalf
    out_of_fold: OutOfFold
    bundles: tuple[Bundle, ...]
    user_words: tuple[str, ...]
    """Of the first block that has any, as the cutter that serves takes them."""


def read(folder: Path, corpus: Path | None, bundles: Sequence[Path]) -> Material:
    """`corpus` is where it lies now, by default where training found it.

    Raises:
        ReportError: the folder cannot be read, or corpus or bundle are not those of the training.
        CorpusError: the corpus cannot be read.
        BundleError: a bundle cannot.
    """
    models = _models(folder)
    opened = tuple(load_bundle(path) for path in bundles)
    for bundle in opened:
        _check_bundle(bundle, models)
    return Material(
        folder,
        models,
        _corpus(corpus or Path(models.corpus_path), models),
        _test_half(folder, models),
        _out_of_fold(folder, models),
        opened,
        _user_words(folder, models),
    )


def _models(folder: Path) -> Models:
    file = folder / MODELS_FILE
    try:
        models = msgspec.json.decode(file.read_bytes(), type=Models)
    except (OSError, msgspec.DecodeError) as error:
        raise ReportError(
            f"{file} cannot be read: {error}; name the folder that `tuwen train` wrote"
        ) from error
    if models.contract != MODELS_CONTRACT_VERSION:
        raise ReportError(f"{file}: contract is not {MODELS_CONTRACT_VERSION}; {_TRAIN_AGAIN}")
    return models


def _user_words(folder: Path, models: Models) -> tuple[str, ...]:
    files = [folder / block.user_words.path for block in models.text if block.user_words]
    if not files:
        return ()
    try:
        return msgspec.json.decode(files[0].read_bytes(), type=tuple[str, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise ReportError(f"{files[0]} cannot be read: {error}; {_TRAIN_AGAIN}") from error


def _corpus(path: Path, models: Models) -> Corpus:
    if not path.is_dir():
        raise ReportError(f"the corpus {path} is not there: name its folder with --corpus")
    corpus = load_corpus(path)
    if corpus.sha256 != models.corpus_sha256:
        raise ReportError(
            f"{path} is not the corpus of this training, or was changed since (sha256 "
            f"{corpus.sha256[:12]}…, not {models.corpus_sha256[:12]}…): name that with --corpus"
        )
    return corpus


def _check_bundle(bundle: Bundle, models: Models) -> None:
    manifest = bundle.manifest
    same = (manifest.corpus_sha256, manifest.seed, manifest.labels, manifest.settings) == (
        models.corpus_sha256,
        models.seed,
        models.labels,
        models.settings,
    )
    if not same or manifest.strategy not in models.strategies:
        raise ReportError(f"{bundle.path} is not a bundle of these models: export it again")


def _test_half(folder: Path, models: Models) -> TestHalf:
    arrays = _arrays(folder / "test.npz")
    missing = [
        name
        for strategy in models.strategies
        for use in USES
        if (name := f"{strategy}.{use}") not in arrays
    ]
    if missing:
        raise ReportError(f"{folder / 'test.npz'} has no {missing[0]}; {_TRAIN_AGAIN}")
    answers = {
        strategy: Answers(
            {use: arrays[f"{strategy}.{use}"] for use in USES}, arrays.get(f"{strategy}.weights")
        )
        for strategy in models.strategies
    }
    return TestHalf(tuple(arrays["ids"].tolist()), arrays["labels"], arrays["present"], answers)


def _out_of_fold(folder: Path, models: Models) -> OutOfFold:
    arrays = _arrays(folder / "oof.npz")
    return OutOfFold(
        tuple(arrays["ids"].tolist()),
        arrays["labels"],
        arrays["text.folds"],
        tuple(arrays[f"{modality}.scores"] for modality in models.modalities),
    )


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise ReportError(f"{file} cannot be read: {error}; {_TRAIN_AGAIN}") from error
