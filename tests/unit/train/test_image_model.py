"""Runs of the CNN: a collapsed one is repeated, folds are kept apart; no TensorFlow here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from schemas.progress import Progress, silent
from train import augmentation, image_model
from train.cnn import Heads
from train.errors import CollapsedError, LeakageError
from train.image_model import RUNS_MAX, End, Run, fit_cnn, fit_image
from train.image_rows import ImageRows
from train.settings import Cnn, ImageScoring, TrainSettings
from train.side_by_side import Fit, FittedCnn, Lesson
from train.unseen import Fitted, unseen_scores

EVERY = np.arange(40)


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
        return Run(FakeCnn(learned, seed), ({"epoch": 1.0},), 0.1, End.LEARNED)

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
) -> list[FittedCnn]:
    """What `fit_side_by_side` gives, in this process: fakes do not reach others."""
    return [
        fit(rows.chosen(lesson.rows), settings, progress, lesson.name, epochs) for lesson in lessons
    ]


def _outcomes(*outcomes: End) -> Callable[..., Run]:
    """A `run_once` whose runs end like this; the losses fall from run to run."""
    ends = iter(outcomes)

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


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the runs end as given."""

    def end(*outcomes: End) -> None:
        monkeypatch.setattr(image_model, "run_once", _outcomes(*outcomes))
        monkeypatch.setattr(image_model, "with_outputs", lambda model: model)

    return end


@pytest.mark.parametrize(
    ("outcomes", "collapsed", "kept"),
    [
        ((End.LEARNED,), 0, "of seed 7"),
        ((End.COLLAPSED, End.LEARNED), 1, "of seed 1007"),
        ((End.NOTHING_LEARNED, End.LEARNED), 0, "of seed 1007"),
        ((End.NOTHING_LEARNED,) * RUNS_MAX, 0, "of seed 2007"),
        ((End.NOTHING_LEARNED, End.COLLAPSED, End.COLLAPSED), 2, "of seed 7"),
    ],
)
def test_a_run_that_learned_nothing_is_repeated(
    ends: Callable[..., None], outcomes: tuple[End, ...], collapsed: int, kept: str
) -> None:
    """From another start, until one learns; of those that did not collapse the best is kept."""
    ends(*outcomes)
    cnn = fit_cnn(_rows(), TrainSettings(seed=7), silent, "CNN", 1)
    assert (cnn.fitted.model, cnn.collapsed_runs) == (kept, collapsed)
    assert cnn.learned == (outcomes[-1] is End.LEARNED)
    assert cnn.fitted.rows == set(_rows().ids)


def test_a_collapsed_cnn_is_never_shipped(ends: Callable[..., None]) -> None:
    """When every run collapses the error names the CNN, its learning rate, and what to try."""
    ends(*[End.COLLAPSED] * RUNS_MAX)
    with pytest.raises(CollapsedError, match=r"all 3 runs of the CNN.*--image-rate, which is 0\.2"):
        fit_cnn(_rows(), TrainSettings(image_rate=0.2), silent, "CNN", 1)


class Says:
    """A CNN whose logits are these, row by row."""

    def __init__(self, logits: Any) -> None:
        self._logits = logits

    def __call__(self, pixels: Any, *, training: bool) -> dict[str, Any]:
        return {"label": self._logits[: len(pixels)]}


@pytest.mark.parametrize(
    ("logits", "loss", "end"),
    [
        (np.tile([0.3, 0.1], (40, 1)), 0.7, End.COLLAPSED),
        (np.random.default_rng(1).normal(size=(40, 2)), 0.9, End.NOTHING_LEARNED),
        (np.random.default_rng(1).normal(size=(40, 2)), np.inf, End.COLLAPSED),
        (np.tile([0.3, 0.1], (40, 1)), 0.2, End.LEARNED),
    ],
)
def test_one_answer_for_all_images_is_a_collapse(logits: Any, loss: float, end: End) -> None:
    """And so is a loss that is no number; different answers that say nothing are none."""
    assert image_model._end(Says(logits), _rows(), EVERY, loss) is end


def test_one_answer_for_one_image_is_no_collapse() -> None:
    """Pictures that are all the same have nothing to tell apart."""
    same = np.zeros_like(_rows().pixels)
    says = Says(np.zeros((40, 2)))
    end = image_model._end(says, replace(_rows(), pixels=same), EVERY, 0.7)
    assert end is End.NOTHING_LEARNED


def test_watched_rows_are_told_with_what_is_added_while_learning() -> None:
    """Logits by which labels count alike, and how frequent each is, say what is likely here."""
    rows = replace(_rows(), labels=np.repeat([0, 1], [36, 4]))
    shares = np.log(np.array([0.9, 0.1], np.float32))
    loss, accuracy = image_model._measured(Says(np.zeros((40, 2))), rows, EVERY, shares)
    assert loss == pytest.approx(image_model._entropy(rows.labels))
    assert accuracy == 0.9


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


@pytest.mark.parametrize(
    ("cnn", "epochs", "changed"),
    [
        ("compact", 6, augmentation.mirrored),
        ("compact", 24, augmentation.augmented),
        ("brief", 24, augmentation.mirrored),
    ],
)
def test_images_that_are_seen_a_few_times_are_only_mirrored(
    cnn: Cnn, epochs: int, changed: augmentation.Change
) -> None:
    """The demo's CNN would not learn what faces say in a few passes over moved ones."""
    assert image_model.change(cnn, epochs) is changed
