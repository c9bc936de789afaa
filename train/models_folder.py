"""Write the models folder of `schemas.models`."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.manifest import FEATURE_VERSION, Evaluation, TokensInput
from schemas.models import MODELS_CONTRACT_VERSION, MODELS_FILE, Artefact, Choice, Models
from schemas.progress import Progress
from train.answering import Answering
from train.arrays import save_arrays
from train.corpus import Corpus
from train.evaluation import Answers
from train.fusion.seam import MODALITIES, FittedFusion
from train.image_model import ImageTraining
from train.prepared import Prepared
from train.reference import write_reference
from train.settings import TrainSettings
from train.text_model import TOKENS_LENGTH, TextModel, TextTraining
from train.unseen import Fitted, row_ids

_OWN_IMAGE: Final = "image/first-fold.keras"
_PACKAGES: Final = (
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "scikit-learn",
    "scipy",
    "numpy",
    "jieba",
    "rjieba",
    "pillow",
    "simplejpeg",
)


@dataclass(frozen=True, slots=True)
class Trained:
    """All that was fitted, on the rows of `half`."""

    half: Prepared
    text: TextTraining
    image: ImageTraining
    fusions: Mapping[str, Fitted[FittedFusion]]
    needs: Mapping[str, tuple[str, ...]]
    """The inputs of each strategy."""
    apart: frozenset[str]
    """The strategies that have a CNN of their own: the one that never saw the first fold."""
    choice: Choice | None

    @property
    def chosen(self) -> str:
        """The strategy to export."""
        return self.choice.chosen if self.choice else next(iter(self.fusions))

    @property
    def answering(self) -> Answering:
        """What is shipped."""
        return Answering(
            self.text.model.model,
            self.image.model.model,
            self.half.image,
            {name: fitted.model for name, fitted in self.fusions.items()},
            dict.fromkeys(self.apart, self.image.alone.model),
            self.needs,
        )

    @property
    def artefacts(self) -> tuple[Fitted[Any], ...]:
        """Every fitted thing, those of single folds included."""
        text = (self.text.vectorisers, *self.text.folds, self.text.model)
        return (*text, *self.image.folds, self.image.model, *self.fusions.values())


@dataclass(frozen=True, slots=True)
class Tested:
    """The test half, and what came of it by strategy."""

    half: Prepared
    answers: Mapping[str, Answers]
    evaluations: Mapping[str, Evaluation]


def write_models(
    folder: Path,
    corpus: Corpus,
    trained: Trained,
    tested: Tested,
    settings: TrainSettings,
    progress: Progress,
) -> None:
    """Write everything into `folder`, which exists and is empty."""
    _write_parts(folder, trained)
    models = _models(corpus, trained, settings)
    (folder / MODELS_FILE).write_bytes(_readable(models))
    (folder / "evaluation.json").write_bytes(_readable(dict(tested.evaluations)))
    save_arrays(folder / "oof.npz", _out_of_fold(trained))
    save_arrays(folder / "test.npz", _test(tested))
    (folder / "reference").mkdir()
    write_reference(
        folder / "reference", corpus, trained.answering, settings.reference_rows_max, progress
    )


def is_models_folder(folder: Path) -> bool:
    """Whether something like it was written here before."""
    return (folder / MODELS_FILE).is_file()


def _write_parts(folder: Path, trained: Trained) -> None:
    (folder / "text").mkdir()
    trained.text.model.model.save(folder / "text")
    (folder / "image").mkdir()
    trained.image.model.model.save(folder / "image" / "model.keras")
    if trained.apart:
        trained.image.alone.model.save(folder / _OWN_IMAGE)
    for name, fitted in trained.fusions.items():
        (folder / "fusion" / name).mkdir(parents=True)
        fitted.model.save(folder / "fusion" / name)


def _models(corpus: Corpus, trained: Trained, settings: TrainSettings) -> Models:
    return Models(
        contract=MODELS_CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        labels=corpus.labels,
        modalities=MODALITIES,
        strategies=tuple(trained.fusions),
        chosen=trained.chosen,
        text=tuple(each.block for each in trained.text.model.model.vectorisers),
        sublinear_tf=True,
        image=trained.half.image,
        artefacts=tuple(Artefact(each.name, row_ids(each.rows)) for each in trained.artefacts),
        settings={**settings.recorded, "text_cost": trained.text.cost},
        versions=_versions(),
        seed=settings.seed,
        corpus_path=str(corpus.folder.resolve()),
        corpus_sha256=corpus.sha256,
        folds=settings.folds,
        learning_curve=trained.image.learning_curve,
        tokens=_tokens(trained.text.model.model),
        image_models=dict.fromkeys(sorted(trained.apart), _OWN_IMAGE),
        choice=trained.choice,
        labels_from=corpus.labels_from,
    )


def _tokens(model: TextModel) -> TokensInput | None:
    if model.tokens is None:
        return None
    return TokensInput(model.vectorisers[0].block.name, TOKENS_LENGTH)


def _out_of_fold(trained: Trained) -> dict[str, NDArray[Any]]:
    """What fusion learned from, row by row, NaN where nothing scored a modality unseen."""
    half = trained.half
    place = {name: number for number, name in enumerate(half.ids)}
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.asarray(half.ids),
        "labels": half.labels,
        "folds": half.image_folds,
        "text.folds": half.text_folds,
    }
    for name, unseen in (("text", trained.text.scores), ("image", trained.image.scores)):
        scores = np.full((len(half.rows), unseen.scores.shape[1]), np.nan)
        scores[[place[row] for row in unseen.ids]] = unseen.scores
        arrays[f"{name}.scores"] = scores
    return arrays


def _test(tested: Tested) -> dict[str, NDArray[Any]]:
    """What every strategy says of the test half."""
    half = tested.half
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.asarray(half.ids),
        "labels": half.labels,
        "present": half.present,
    }
    for name, said in tested.answers.items():
        arrays |= {f"{name}.{use}": scores for use, scores in said.scores.items()}
        if said.weights is not None:
            arrays[f"{name}.weights"] = said.weights
    return arrays


def _readable(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value)) + b"\n"


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            # TensorFlow goes by one of two names.
            continue
    return versions
