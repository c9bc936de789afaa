"""Runs of the CNN: a collapsed one is repeated, folds are kept apart; no TensorFlow here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from schemas.progress import Progress, silent
from train import image_model
from train.cnn import Heads
from train.errors import LeakageError
from train.image_model import RUNS_MAX, Run, fit_cnn, fit_image
from train.image_rows import ImageRows
from train.settings import ImageScoring, TrainSettings
from train.side_by_side import Curve, Fit, Lesson
from train.unseen import Fitted, unseen_scores


@dataclass
class FakeCnn:
    """Knows which rows it learned from: their pixels all hold the row's number."""

    rows: frozenset[int]
    seed: int


def _rows(count: int = 40, folds: int = 4) -> ImageRows:
    pixels = np.tile(np.arange(count, dtype=np.uint8)[:, None, None, None], (1, 2, 2, 3))
    numbers = np.arange(count)
    return ImageRows(
        tuple(str(number) for number in numbers),
        pixels,
        numbers % 2,
        np.full(count, -1),
        Heads(2, None),
        numbers % folds,
    )


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of all runs, by a CNN that learns nothing and scores what row it is shown."""
    started: list[int] = []

    def run_once(
        rows: ImageRows,
        settings: TrainSettings,
        progress: Progress,
        name: str,
        epochs: int,
        seed: int,
    ) -> Run:
        started.append(seed)
        learned = frozenset(rows.pixels[:, 0, 0, 0].tolist())
        return Run(FakeCnn(learned, seed), ({"epoch": 1.0},), 0.1, learned=True)

    def scored(pixels: Any, model: FakeCnn) -> Any:
        shown = pixels[:, 0, 0, 0]
        assert not model.rows & set(shown.tolist()), "the CNN scored rows that it learned from"
        return shown[:, None].astype(np.float64)

    monkeypatch.setattr(image_model, "run_once", run_once)
    monkeypatch.setattr(image_model, "with_outputs", lambda model: model)
    monkeypatch.setattr(image_model, "scored", scored)
    monkeypatch.setattr(image_model, "fit_side_by_side", _in_turn)
    return started


def _in_turn(
    fit: Fit,
    rows: ImageRows,
    lessons: Sequence[Lesson],
    settings: TrainSettings,
    progress: Progress,
    epochs: int,
) -> list[tuple[Fitted[Any], Curve, int]]:
    """What `fit_side_by_side` gives, in this process: fakes do not reach others."""
    return [
        fit(rows.chosen(lesson.rows), settings, progress, lesson.name, epochs) for lesson in lessons
    ]


def _outcomes(*learned: bool) -> Callable[..., Run]:
    """A `run_once` whose runs end like this; the losses fall from run to run."""
    ends = iter(learned)

    def run_once(
        rows: ImageRows,
        settings: TrainSettings,
        progress: Progress,
        name: str,
        epochs: int,
        seed: int,
    ) -> Run:
        return Run(f"of seed {seed}", (), 1.0 / (1 + seed), next(ends))

    return run_once


@pytest.mark.parametrize(
    ("learned", "collapsed", "kept"),
    [
        ((True,), 0, "of seed 7"),
        ((False, True), 1, "of seed 1007"),
        ((False, False, False), 3, "of seed 2007"),
    ],
)
def test_a_collapsed_run_is_repeated(
    monkeypatch: pytest.MonkeyPatch, learned: tuple[bool, ...], collapsed: int, kept: str
) -> None:
    """From another start, until one learns or the best of three must do."""
    monkeypatch.setattr(image_model, "run_once", _outcomes(*learned))
    monkeypatch.setattr(image_model, "with_outputs", lambda model: model)
    fitted, _, again = fit_cnn(_rows(), TrainSettings(seed=7), silent, "CNN", 1)
    assert (fitted.model, again) == (kept, collapsed)
    assert len(learned) <= RUNS_MAX
    assert fitted.rows == set(_rows().ids)


def test_held_out_images_are_scored_by_a_cnn_that_never_saw_them(seeds: list[int]) -> None:
    """One training; the first fold is scored, and is not among the rows of the model."""
    training = fit_image(_rows(), TrainSettings(image_scoring="held-out"), silent)
    held_out = {str(number) for number in range(0, 40, 4)}
    assert set(training.scores.ids) == held_out
    assert training.model.rows == set(_rows().ids) - held_out
    assert len(seeds) == 1
    assert training.folds == ()


def test_every_fold_is_scored_by_a_cnn_that_never_saw_it(seeds: list[int]) -> None:
    """All rows are scored, in order; the shipped CNN learned from all."""
    settings = TrainSettings(image_scoring="out-of-fold", folds=4)
    training = fit_image(_rows(), settings, silent)
    assert training.scores.ids == _rows().ids
    assert training.scores.scores[:, 0].tolist() == list(range(40))
    assert training.model.rows == set(_rows().ids)
    assert len(training.folds) == 4
    assert len(seeds) == 5


def test_the_shipped_cnn_hears_what_the_others_say_of_each_row(
    seeds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fakes say a row's number; those of the folds hear nobody."""
    heard: list[Any] = []
    fake = image_model.run_once

    def run_once(rows: ImageRows, *others: Any) -> Run:
        heard.append(rows.opinions)
        return fake(rows, *others)

    monkeypatch.setattr(image_model, "run_once", run_once)
    fit_image(_rows(), TrainSettings(image_scoring="out-of-fold", folds=4), silent)
    *folds, shipped = heard
    assert folds == [None] * 4
    assert shipped[:, 0].tolist() == list(range(40))


@pytest.mark.parametrize("scoring", ["held-out", "out-of-fold"])
def test_the_shipped_cnn_may_not_score_what_it_learned_from(
    seeds: list[int], scoring: ImageScoring
) -> None:
    """The guard knows the rows of the model that is shipped, watched ones included."""
    training = fit_image(_rows(), TrainSettings(image_scoring=scoring, folds=4), silent)
    fitted: Fitted[Any] = training.model
    with pytest.raises(LeakageError):
        unseen_scores(fitted, ["1"], lambda _: np.zeros((1, 1)))
