"""The fitting of small Keras heads: what is held out, what is dropped, what is not counted."""

from typing import Any

import numpy as np
import pytest

from train.fusion import deep
from train.fusion.deep import LABEL, PRESENT, Course, Learner, Lesson, answers
from train.quiet_keras import load

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

COURSE = Course(epochs=20, rate=0.3, weight_decay=0.0, losses={LABEL: 1.0}, modality_dropout=0.2)


def _build() -> Any:
    """Two numbers and presence to two logits."""
    _, keras = load()
    inputs = {"x": keras.Input((2,), name="x"), PRESENT: keras.Input((2,), name=PRESENT)}
    x = deep.masked(keras, inputs["x"], inputs[PRESENT], 0)
    return keras.Model(inputs, {LABEL: keras.layers.Dense(2)(x)})


def _lesson(rows: int, told: float) -> Lesson:
    chance = np.random.default_rng(1)
    labels = chance.integers(0, 2, rows)
    x = chance.normal(size=(rows, 2)) + told * np.eye(2)[labels]
    return Lesson({"x": x}, np.ones((rows, 2), np.bool_), {LABEL: labels})


def test_a_head_learns_and_equal_rows_give_equal_heads() -> None:
    """One learner fits many heads, each from the same start."""
    learner, lesson = Learner(_build, COURSE, 3), _lesson(200, told=3.0)
    one, other, again = (learner.fit(each) for each in (lesson, _lesson(200, 0.0), lesson))
    said = answers(one, lesson.inputs, lesson.present)[LABEL]
    assert (said.argmax(axis=1) == lesson.targets[LABEL]).mean() > 0.95
    assert np.array_equal(said, answers(again, lesson.inputs, lesson.present)[LABEL])
    assert not np.array_equal(said, answers(other, lesson.inputs, lesson.present)[LABEL])


def test_a_head_that_only_gets_worse_keeps_its_first_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows that are watched decide which epoch is kept, and none may be."""
    losses = iter([1.0, *np.arange(2.0, 22.0)])
    learner = Learner(_build, COURSE, 3)
    monkeypatch.setattr(learner, "_loss", lambda inputs, targets: next(losses))
    first = [weight.copy() for weight in learner._model.get_weights()]
    fitted = learner.fit(_lesson(64, told=3.0))
    assert all(map(np.array_equal, fitted.get_weights(), first))


def test_rows_without_a_target_do_not_count() -> None:
    """Their loss is left out of sum and mean."""
    tf, _ = load()
    logits = {LABEL: tf.constant([[2.0, 0.0], [0.0, 5.0], [-9.0, 1.0]])}
    known, part = np.array([0, 1, -1]), {LABEL: logits[LABEL][:2]}
    whole = deep._loss(tf, logits, {LABEL: known}, {LABEL: 1.0}, None)
    assert float(whole) == pytest.approx(
        float(deep._loss(tf, part, {LABEL: known[:2]}, {LABEL: 1.0}, None))
    )


def test_a_row_counts_by_its_label() -> None:
    """In sum and mean, of the label alone."""
    tf, _ = load()
    logits = {LABEL: tf.constant([[2.0, 0.0], [0.0, 5.0], [1.0, 0.0]])}
    alone = [({LABEL: logits[LABEL][n : n + 1]}, np.array([n % 2])) for n in range(3)]
    own = [float(deep._loss(tf, said, {LABEL: label}, {LABEL: 1.0}, None)) for said, label in alone]
    truth, weights = {LABEL: np.array([0, 1, 0])}, np.array([0.75, 1.5])
    whole = float(deep._loss(tf, logits, truth, {LABEL: 1.0}, weights))
    assert whole == pytest.approx(np.average(own, weights=weights[[0, 1, 0]]))


def test_modality_dropout_takes_one_of_complete_rows_alone() -> None:
    """About the share asked for; a row that has one modality keeps it."""
    tf, _ = load()
    present = np.ones((4000, 2), np.float32)
    present[2000:, 0] = 0
    kept = np.asarray(deep._dropped(tf, tf.constant(present), tf.constant([1, 2]), 0.3))
    assert np.array_equal(kept[2000:], present[2000:])
    assert (kept[:2000].sum(axis=1) >= 1).all()
    assert (kept[:2000].sum(axis=1) == 1).mean() == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("rows", [5, 128, 300])
def test_a_pass_shows_every_row(rows: int) -> None:
    """In whole batches; some rows stand in two."""
    batches = deep._batches(np.random.default_rng(1), rows)
    assert set(batches.ravel().tolist()) == set(range(rows))
