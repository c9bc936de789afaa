"""A corpus to a models folder: fit text model, CNN and fusion, evaluate, write, atomically."""

import shutil
import time
from dataclasses import dataclass
from os import getpid
from pathlib import Path

import numpy as np

from schemas.manifest import Evaluation
from schemas.progress import Progress
from train.cnn import Heads
from train.corpus import load
from train.evaluation import evaluate
from train.fusing import Lessons, needs_projection, reads_regions
from train.fusion.registry import strategies as strategies_named
from train.fusion.seam import IMAGE, TEXT, FittedFusion
from train.image_model import ImageRows, fit_image
from train.models_folder import Trained, is_models_folder, write_models
from train.prepared import Prepared, prepare_test, prepare_train
from train.settings import TrainSettings
from train.text_model import TextRows, fit_text, tf_idf
from train.unseen import Fitted


@dataclass(frozen=True, slots=True)
class TrainingSummary:
    """What came out. Accuracy by `text`, `image` and `fused`, on complete test posts."""

    strategy: str
    evaluations: dict[str, Evaluation]
    train_rows: int
    rows_left_out: int
    collapsed_runs: int
    seconds: float
    seconds_by_step: dict[str, float]

    @property
    def accuracy(self) -> dict[str, float]:
        """Of the strategy that is exported."""
        return self.evaluations[self.strategy].accuracy


class _Clock:
    """Wall seconds by step."""

    def __init__(self) -> None:
        self.start = self._last = time.perf_counter()
        self.by_step: dict[str, float] = {}

    def step(self, name: str) -> None:
        """What was done since the last step was this one."""
        now = time.perf_counter()
        self.by_step[name], self._last = now - self._last, now


def train(corpus: Path, out: Path, settings: TrainSettings, progress: Progress) -> TrainingSummary:
    """Train everything and write the models folder `out`, which appears whole or not at all.

    An older models folder at `out` is replaced.

    Raises:
        CorpusError: the corpus cannot be used.
        SettingError: a strategy is unknown.
        FileExistsError: `out` holds something else than models.
    """
    clock = _Clock()
    _check_out(out)
    strategies_named(settings.strategies)
    read = load(corpus)
    half, test = prepare_train(read, settings, progress), prepare_test(read, settings, progress)
    clock.step("reading")
    trained = _fit(half, len(read.labels), settings, progress, clock)
    evaluations = evaluate_all(trained, test)
    clock.step("evaluating")
    beside = out.with_name(f".{out.name}.{getpid()}")
    try:
        beside.mkdir(parents=True)
        write_models(beside, read, trained, evaluations, settings, progress)
        _replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    clock.step("writing")
    return TrainingSummary(
        settings.strategies[0],
        evaluations,
        len(half.rows),
        half.left_out,
        trained.image.collapsed_runs,
        time.perf_counter() - clock.start,
        clock.by_step,
    )


def evaluate_all(trained: Trained, test: Prepared) -> dict[str, Evaluation]:
    """Every strategy on the rows of the test half that have both modalities."""
    model = trained.text.model.model
    texts = test.texts(np.flatnonzero(test.present[:, TEXT]))
    outputs = model.outputs(tf_idf(model.vectorisers, texts))
    outputs |= model.token_outputs(model.token_ids(texts))
    inputs = trained.answering.inputs(outputs, test.pixels, test.present)
    return {
        name: evaluate(fitted.model, inputs[name], test.labels, test.present)
        for name, fitted in trained.fusions.items()
    }


def _fit(
    half: Prepared, labels_count: int, settings: TrainSettings, progress: Progress, clock: _Clock
) -> Trained:
    strategies = strategies_named(settings.strategies)
    width = settings.embedding_width if needs_projection(strategies) else None
    progress("fitting the SVM", 0, 1)
    text = fit_text(_text_rows(half, labels_count), settings, width)
    progress("fitting the SVM", 1, 1, f"C = {text.cost:g}")
    clock.step("text")
    image = fit_image(_image_rows(half, labels_count), settings, progress)
    clock.step("image")
    lessons = Lessons(half, labels_count, text, image, settings.seed)
    fusions: dict[str, Fitted[FittedFusion]] = {}
    for number, strategy in enumerate(strategies, start=1):
        training = lessons.of(strategy)
        fusions[strategy.name] = Fitted(
            strategy.name, strategy.fit(training), frozenset(training.ids)
        )
        progress("fitting the fusion", number, len(strategies), strategy.name)
    clock.step("fusion")
    apart = frozenset(each.name for each in strategies if reads_regions(each) and image.folds)
    return Trained(half, text, image, fusions, apart)


def _text_rows(half: Prepared, labels_count: int) -> TextRows:
    rows = np.flatnonzero(half.present[:, TEXT])
    told = [half.rows[row].text_label for row in rows]
    labels = half.labels[rows]
    # A target that only some rows have cannot teach all of them.
    targets = labels if None in told else np.asarray(told, np.int64)
    if len(np.unique(targets)) < 2:
        targets = labels
    return TextRows(
        tuple(half.rows[row].id for row in rows),
        half.texts(rows),
        targets,
        labels,
        labels_count,
        half.text_folds[rows],
    )


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


def _check_out(out: Path) -> None:
    if out.exists() and not is_models_folder(out) and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} holds something else than models: name another folder")


def _replace(beside: Path, out: Path) -> None:
    """Put the new folder in the place of the old one."""
    old = out.with_name(f".{out.name}.old.{getpid()}")
    if out.exists():
        out.rename(old)
    beside.rename(out)
    shutil.rmtree(old, ignore_errors=True)
