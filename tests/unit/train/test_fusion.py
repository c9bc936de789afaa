"""Every strategy: patterns of presence, reproducible, better together than alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.judging import calibration_error
from tests.unit.train.fusion_rows import (
    LABELS,
    absent_as,
    fitted_strategy,
    fusion_inputs,
    fusion_training,
)
from train.calibration import Calibration, calibrate
from train.fusion.registry import names, strategy
from train.fusion.seam import IMAGE, TEXT, FittedFusion, TrainingInputs, patterns, single
from train.unseen import Fitted, Unseen

STRATEGIES = names()
DEEP = {"attention", "multi-task"}
"""Their heads' loss is looked at in `test_deep`."""

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module")
def fitted() -> dict[str, FittedFusion]:
    """Every strategy, fitted once."""
    return {name: fitted_strategy(name) for name in STRATEGIES}


@pytest.mark.parametrize("name", STRATEGIES)
def test_together_they_know_more(fitted: dict[str, FittedFusion], name: str) -> None:
    """On new rows both modalities beat each alone, and the probabilities mean what they say."""
    inputs, labels = fusion_inputs(2000, seed=9)
    accuracy = {}
    for use, shown in {"text": [1, 0], "image": [0, 1], "both": [1, 1]}.items():
        present = np.tile(np.array(shown, np.bool_), (2000, 1))
        probabilities = fitted[name].predict(inputs, present)
        assert probabilities.sum(axis=1) == pytest.approx(np.ones(2000))
        assert calibration_error(probabilities, labels) < 0.1
        accuracy[use] = (probabilities.argmax(axis=1) == labels).mean()
    assert accuracy["both"] > max(accuracy["text"], accuracy["image"]) + 0.03


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - DEEP))
def test_labels_that_count_alike_are_found_alike(name: str) -> None:
    """Of a label that is rare in training more is found, with one modality and with both."""
    training = fusion_training()
    few = training.chosen(np.flatnonzero((training.labels != 2) | (np.arange(600) % 10 == 0)))
    inputs, labels = fusion_inputs(1000, seed=9)
    rare = labels == 2
    by_row, by_label = (
        strategy(name).fit(replace(few, class_weight=weight)) for weight in ("none", "balanced")
    )
    for shown in ([1, 0], [0, 1], [1, 1]):
        present = np.tile(np.array(shown, np.bool_), (1000, 1))
        said = [each.predict(inputs, present).argmax(axis=1) for each in (by_row, by_label)]
        without, balanced = ((each[rare] == 2).mean() for each in said)
        assert balanced > without, shown


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_modality_alone_gives_its_own_calibrated_score(
    fitted: dict[str, FittedFusion], name: str
) -> None:
    """Whatever the strategy makes of both, one alone is answered by its own calibration."""
    training, (inputs, _) = fusion_training(), fusion_inputs(50, seed=4)
    for modality, scores in ((TEXT, "text.scores"), (IMAGE, "image.scores")):
        own = training.present[:, modality]
        alone = calibrate(training.scores(scores)[own], training.labels[own], LABELS)
        present = np.zeros((50, 2), np.bool_)
        present[:, modality] = True
        published = fitted[name].predict(inputs, present)
        assert published == pytest.approx(alone.probabilities(inputs[scores]))


@given(
    garbage=st.sampled_from([np.nan, np.inf, -1e30, 7.0]),
    shown=st.lists(st.sampled_from([(True, False), (False, True), (True, True)]), min_size=1),
    name=st.sampled_from(STRATEGIES),
)
def test_absent_values_change_no_bit(
    fitted: dict[str, FittedFusion], garbage: float, shown: list[tuple[bool, bool]], name: str
) -> None:
    """What stands where a modality is absent is never looked at."""
    inputs, _ = fusion_inputs(len(shown), seed=2)
    present = np.array(shown, np.bool_)
    spoilt = absent_as(garbage, inputs, present)
    clean = fitted[name].predict(inputs, present)
    assert np.array_equal(fitted[name].predict(spoilt, present), clean)


@pytest.mark.parametrize("name", STRATEGIES)
def test_nothing_present_gives_equal_shares(fitted: dict[str, FittedFusion], name: str) -> None:
    """A row without anything is never asked for; the answer is harmless all the same."""
    inputs, _ = fusion_inputs(2, seed=3)
    published = fitted[name].predict(inputs, np.zeros((2, 2), np.bool_))
    assert published == pytest.approx(np.full((2, LABELS), 1 / LABELS))


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_again_gives_the_same_files(
    fitted: dict[str, FittedFusion], name: str, tmp_path: Path
) -> None:
    """Equal inputs and seed: equal bytes."""
    for folder, fusion in (("one", fitted[name]), ("two", strategy(name).fit(fusion_training()))):
        (tmp_path / folder).mkdir()
        fusion.save(tmp_path / folder)
    for file in ("strategy.json", "weights.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_two_labels_need_one_margin(tmp_path: Path) -> None:
    """A concatenation of two labels has one row of coefficients, and speaks for labels[1]."""
    inputs, labels = fusion_inputs(300, seed=6)
    ids = tuple(str(number) for number in range(300))
    unseen = {name: Unseen(ids, values) for name, values in inputs.items()}
    two = (labels > 0).astype(np.int64)
    everything = np.ones((300, 2), np.bool_)
    training = TrainingInputs(unseen, two, 2, everything, np.arange(300) % 3, 5, ("text", "image"))
    fusion = strategy("concatenation").fit(training)
    fusion.save(tmp_path)
    assert np.load(tmp_path / "weights.npz")["coefficients"].shape[0] == 1
    published = fusion.predict(inputs, everything)
    assert (published.argmax(axis=1) == two).mean() > 0.9


def test_patterns_are_sums_of_powers() -> None:
    """Text counts 1, image 2."""
    present = np.array([[0, 0], [1, 0], [0, 1], [1, 1]], np.bool_)
    assert patterns(present).tolist() == [0, 1, 2, 3]


def test_what_more_rows_taught_is_recorded_and_left_out_of_a_part() -> None:
    """A calibration by other rows brings those rows with it; a part of the rows fits its own."""
    training = fusion_training(60)
    own = single(training, TEXT)
    lent = Fitted("text alone", Calibration(own.matrix * 2, own.bias), frozenset({"another"}))
    taught = replace(training, alone={TEXT: lent})
    assert single(taught, TEXT) is lent.model
    assert taught.learned_rows == {*training.ids, "another"}
    part = taught.chosen(np.arange(30))
    assert part.learned_rows == set(training.ids[:30])
    assert not np.allclose(single(part, TEXT).matrix, lent.model.matrix)


def test_inputs_of_other_rows_are_a_mistake() -> None:
    """All inputs must be of the same rows, in one order."""
    one, other = Unseen(("a",), np.zeros((1, 2))), Unseen(("b",), np.zeros((1, 2)))
    with pytest.raises(AssertionError, match="other rows"):
        TrainingInputs(
            {"text.scores": one, "image.scores": other},
            np.zeros(1, np.int64),
            2,
            np.ones((1, 2), np.bool_),
            np.zeros(1, np.int64),
            1,
            ("text", "image"),
        )
