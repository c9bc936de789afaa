"""A corpus to a models folder: fit text model, CNN and fusion, evaluate, write, atomically."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import getpid
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.manifest import Evaluation
from schemas.models import Choice
from schemas.progress import Progress
from train.calibration import Labels
from train.choice import FOLDS_MIN, Judged, allowed, choose, compare
from train.cnn import Heads
from train.corpus import Corpus, load
from train.enough import check_declared, check_prepared
from train.errors import SettingError
from train.evaluation import Answers, answer, evaluate, macro_f1s
from train.fusing import Lessons, needs_projection, reads_regions
from train.fusion.registry import strategies as strategies_named
from train.fusion.seam import (
    IMAGE,
    MODALITIES,
    TEXT,
    FittedFusion,
    FusionStrategy,
    TrainingInputs,
)
from train.image_model import fit_image
from train.image_rows import ImageRows
from train.label_origin import in_words_of
from train.models_folder import Tested, Trained, is_models_folder, write_models
from train.prepared import Prepared, prepare_test, prepare_train
from train.settings import TrainSettings
from train.text_model import TextRows, fit_text, tf_idf
from train.unseen import Fitted


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What came out. Accuracy and macro-F1 by `text`, `image` and `fused`, on complete test posts.

    `rows_left_out` have a text or image that the test half has too, or nothing that can be read;
    `unreadable_images` of both halves count as absent.
    """

    strategy: str
    choice: Choice | None
    evaluations: dict[str, Evaluation]
    train_rows: int
    rows_left_out: int
    collapsed_runs: int
    seconds: float
    seconds_by_step: dict[str, float]
    macro_f1_by_strategy: dict[str, dict[str, float]]
    image_learned: bool
    unreadable_images: int

    @property
    def accuracy(self) -> dict[str, float]:
        """Of the strategy that is exported."""
        return self.evaluations[self.strategy].accuracy

    @property
    def macro_f1(self) -> dict[str, float]:
        """Of the strategy that is exported."""
        return self.macro_f1_by_strategy[self.strategy]


class _Clock:
    """Wall seconds by step."""

    def __init__(self) -> None:
        self.start = self._last = time.perf_counter()
        self.by_step: dict[str, float] = {}

    def step(self, name: str) -> None:
        """What was done since the last step was this one."""
        now = time.perf_counter()
        self.by_step[name], self._last = now - self._last, now


def train(
    corpus: Path,
    out: Path,
    settings: TrainSettings,
    progress: Progress,
    own: Sequence[FusionStrategy] = (),
) -> TrainingSummary:
    """Train everything and write the models folder `out`, which appears whole or not at all.

    An older models folder at `out` is replaced. `own` are strategies besides those of this package;
    settings name them as they do the others.

    Raises:
        CorpusError: the corpus cannot be used.
        CollapsedError: every run of a CNN collapsed.
        SettingError: a strategy is unknown, there are too few folds to compare several, or labels
            of lexicons should choose between several.
        FileExistsError: `out` holds something else than models.
    """
    clock = _Clock()
    _check_out(out)
    _check_comparable(strategies_named(settings.strategies, own), settings)
    read = load(corpus)
    named = allowed(settings.strategies, read.labels_from)
    strategies, progress = strategies_named(named, own), in_words_of(read.labels_from, progress)
    settings = msgspec.structs.replace(settings, strategies=named)
    settings = settings.resolved(sum(row.image is not None for row in read.train))
    half, test = _prepared(read, strategies, settings, progress)
    clock.step("reading")
    learned = _learned(half, len(read.labels), strategies, settings, progress, clock)
    lessons = {each.name: learned.of(each) for each in strategies}
    judged = compare(strategies, lessons, progress) if len(strategies) > 1 else {}
    clock.step("comparing")
    trained = _fused(learned, strategies, lessons, judged, progress)
    clock.step("fusion")
    answers = answer_all(trained, test)
    evaluations = {
        name: evaluate(said, test.labels, test.present) for name, said in answers.items()
    }
    clock.step("evaluating")
    _write(out, read, trained, Tested(test, answers, evaluations), settings, progress)
    clock.step("writing")
    return TrainingSummary(
        trained.chosen,
        trained.choice,
        evaluations,
        len(half.rows),
        half.left_out,
        trained.image.collapsed_runs,
        time.perf_counter() - clock.start,
        clock.by_step,
        {name: macro_f1s(said, test.labels, test.present) for name, said in answers.items()},
        trained.image.learned,
        half.unreadable_images + test.unreadable_images,
    )


def _prepared(
    corpus: Corpus,
    strategies: Sequence[FusionStrategy],
    settings: TrainSettings,
    progress: Progress,
) -> tuple[Prepared, Prepared]:
    """Both halves. Raises CorpusError when there is too little of anything to learn from."""
    check_declared(corpus, settings)
    half = prepare_train(corpus, settings, progress)
    test = prepare_test(corpus, settings, progress)
    apart = any(reads_regions(strategy) for strategy in strategies)
    check_prepared(corpus, half, test, settings, apart=apart, compared=len(strategies) > 1)
    return half, test


def answer_all(trained: Trained, test: Prepared) -> dict[str, Answers]:
    """What every strategy says of the test half."""
    model = trained.text.model.model
    texts = test.texts(np.flatnonzero(test.present[:, TEXT]))
    outputs = model.outputs(tf_idf(model.vectorisers, texts))
    outputs |= model.token_outputs(model.token_ids(texts))
    inputs = trained.answering.inputs(outputs, test.pixels, test.present)
    return {
        name: answer(fitted.model, inputs[name], test.present)
        for name, fitted in trained.fusions.items()
    }


def _learned(
    half: Prepared,
    labels_count: int,
    strategies: Sequence[FusionStrategy],
    settings: TrainSettings,
    progress: Progress,
    clock: _Clock,
) -> Lessons:
    """The text model and the CNN, and what fusion may learn from them."""
    width = settings.embedding_width if needs_projection(strategies) else None
    text = fit_text(_text_rows(half, labels_count), settings, width, progress)
    clock.step("text")
    image = fit_image(_image_rows(half, labels_count), settings, progress)
    clock.step("image")
    return Lessons(half, labels_count, text, image, settings.seed, settings.class_weight)


def _fused(
    learned: Lessons,
    strategies: Sequence[FusionStrategy],
    lessons: Mapping[str, TrainingInputs],
    judged: Mapping[str, Judged],
    progress: Progress,
) -> Trained:
    """Every strategy on all the rows that it may learn from, and the choice among them."""
    fusions: dict[str, Fitted[FittedFusion]] = {}
    costs: dict[str, int] = {}
    for number, strategy in enumerate(strategies, start=1):
        training = lessons[strategy.name]
        fitted = strategy.fit(training)
        costs[strategy.name] = fitted.multiply_adds(training.values)
        fusions[strategy.name] = Fitted(strategy.name, fitted, training.learned_rows)
        progress("fitting the fusion", number, len(strategies), strategy.name)
    choice = choose(judged, costs) if judged else None
    image = learned.image
    apart = frozenset(each.name for each in strategies if reads_regions(each) and image.folds)
    needs = {each.name: each.needs(MODALITIES) for each in strategies}
    return Trained(learned.half, learned.text, image, fusions, needs, apart, choice)


def _text_rows(half: Prepared, labels_count: int) -> TextRows:
    rows = np.flatnonzero(half.present[:, TEXT])
    told = [half.rows[row].text_label for row in rows]
    labels = half.labels[rows]
    # A target that only some rows have cannot teach all of them.
    targets = labels if None in told else np.asarray(told, np.int64)
    folds = half.text_folds[rows]
    if not _can_be_taught(targets, folds):
        targets = labels
    return TextRows(
        tuple(half.rows[row].id for row in rows),
        half.texts(rows),
        targets,
        labels,
        labels_count,
        folds,
    )


def _can_be_taught(targets: Labels, folds: NDArray[np.int64]) -> bool:
    """Whether there are several classes, and each is there whatever fold is left out."""
    classes = np.unique(targets)
    return len(classes) > 1 and all(len(np.unique(folds[targets == each])) > 1 for each in classes)


def _image_rows(half: Prepared, labels_count: int) -> ImageRows:
    rows = np.flatnonzero(half.present[:, IMAGE])
    told = [half.rows[row].image_label for row in rows]
    targets = np.asarray([-1 if each is None else each for each in told], np.int64)
    targets_count = int(targets.max(initial=-1)) + 1
    return ImageRows(
        tuple(half.rows[row].id for row in rows),
        half.pixels[rows],
        half.labels[rows],
        targets,
        Heads(labels_count, targets_count if targets_count >= 2 else None),
        half.image_folds[rows],
    )


def _check_comparable(strategies: Sequence[FusionStrategy], settings: TrainSettings) -> None:
    if len(strategies) > 1 and settings.text_folds < FOLDS_MIN:
        raise SettingError(
            f"setting text_folds: at least {FOLDS_MIN} to compare strategies, or name one strategy"
        )


def _check_out(out: Path) -> None:
    if out.exists() and not is_models_folder(out) and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} holds something else than models: name another folder")


def _write(
    out: Path,
    corpus: Corpus,
    trained: Trained,
    tested: Tested,
    settings: TrainSettings,
    progress: Progress,
) -> None:
    """Write beside, then rename: a training that is stopped leaves no half of a folder."""
    beside = out.with_name(f".{out.name}.{getpid()}")
    try:
        beside.mkdir(parents=True)
        write_models(beside, corpus, trained, tested, settings, progress)
        _replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _replace(beside: Path, out: Path) -> None:
    """Put the new folder in the place of the old one."""
    old = out.with_name(f".{out.name}.old.{getpid()}")
    if out.exists():
        out.rename(old)
    beside.rename(out)
    shutil.rmtree(old, ignore_errors=True)
