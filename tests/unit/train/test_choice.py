"""How a strategy is chosen: paired tests, cost among equals, and rows that no fit has seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from schemas.manifest import LabelsFrom
from schemas.progress import silent
from tests.unit.train.fusion_rows import LABELS, fusion_training
from train.choice import Judged, allowed, choose, compare, holm, judge
from train.errors import SettingError
from train.fusion.registry import strategy
from train.fusion.seam import Present, TrainingInputs
from train.unseen import Floats

IDS = tuple(str(number) for number in range(1000))


@dataclass(frozen=True, slots=True)
class Remembering:
    """A strategy that gives a row's true label if it was fitted on it, and else the first label."""

    seen: dict[str, int] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)
    name: str = "remembering"

    def needs(self, modalities: Sequence[str]) -> tuple[str, ...]:
        """Scores."""
        return tuple(f"{name}.scores" for name in modalities)

    def fit(self, training: TrainingInputs) -> "Remembering":
        """Remember."""
        return replace(self, seen=dict(zip(training.ids, training.labels.tolist(), strict=True)))

    def predict(self, inputs: Mapping[str, Floats], present: Present) -> Floats:
        """Of rows in no order: what matters is how many are asked for."""
        self.asked.append(len(present))
        assert present.all()
        return np.eye(LABELS)[np.zeros(len(inputs["text.scores"]), np.int64)]

    def beside(self, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
        """Nothing."""
        return {}

    def multiply_adds(self, inputs: Mapping[str, Floats]) -> int:
        """None."""
        return 0

    def save(self, folder: Path) -> None:
        """Not saved."""


def _judged(right: int, first: int = 0, rows: int = 1000) -> Judged:
    """`right` rows of the first `rows` are labelled rightly, from row `first` on."""
    answers = np.zeros(rows, np.bool_)
    answers[np.arange(first, first + right) % rows] = True
    return Judged(IDS[:rows], answers)


def test_the_cheapest_of_those_not_significantly_worse_is_chosen() -> None:
    """A dear one is a little better, a cheap one is clearly worse, and neither is taken."""
    judged = {"dear": _judged(850), "fair": _judged(848, first=3), "cheap": _judged(780)}
    choice = choose(judged, {"dear": 900, "fair": 30, "cheap": 2})
    assert (choice.best, choice.chosen) == ("dear", "fair")
    worse = {each.strategy: each for each in choice.compared}["cheap"]
    assert worse.p_value < 0.001
    assert worse.against_best == pytest.approx(-0.07)
    assert worse.low < worse.accuracy == 0.78 < worse.high


def test_of_equally_accurate_ones_the_cheaper_is_the_best() -> None:
    """And then it is chosen."""
    choice = choose({"a": _judged(800), "b": _judged(800)}, {"a": 5, "b": 4})
    assert (choice.best, choice.chosen) == ("b", "b")


def test_a_strategy_judged_on_fewer_rows_is_paired_on_those() -> None:
    """It cannot be the best by easier rows alone."""
    judged = {"all": _judged(800), "some": _judged(300, rows=300)}
    choice = choose(judged, {"all": 5, "some": 9})
    some = {each.strategy: each for each in choice.compared}["some"]
    assert (choice.best, some.rows, some.accuracy, some.against_best) == ("all", 300, 1.0, 0.0)


def test_rows_are_judged_once_each_by_fits_that_never_saw_them() -> None:
    """All complete rows, in as many parts as there are."""
    training = fusion_training(300)
    fake = Remembering()
    judged = judge(fake, training)
    complete = np.flatnonzero(training.complete)
    assert sorted(judged.ids) == sorted(training.ids[row] for row in complete)
    assert sum(fake.asked) == len(complete)
    assert len(fake.asked) == 3


def test_labels_that_are_chance_are_judged_as_chance() -> None:
    """Within three standard errors, for strategies that only weigh scores."""
    training = fusion_training(900)
    permuted = replace(training, labels=np.random.default_rng(3).permutation(training.labels))
    cheap = [strategy(name) for name in ("ensemble", "soft-voting", "voting")]
    judged = compare(cheap, {each.name: permuted for each in cheap}, silent)
    for each in judged.values():
        error = np.sqrt((1 / LABELS) * (1 - 1 / LABELS) / len(each.ids))
        assert abs(each.right.mean() - 1 / LABELS) < 3 * error + 0.02


def test_holm_corrects_by_rank_and_never_falls() -> None:
    """The least times how many there are, the next times one less."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


LEXICONS = LabelsFrom((), {}, ("train",), 0.5)


@pytest.mark.parametrize(
    ("named", "left"),
    [
        (("all",), ("soft-voting",)),
        (("all", "voting"), ("soft-voting",)),
        (("ensemble",), ("ensemble",)),
    ],
)
def test_labels_of_lexicons_leave_one_strategy_alone(
    named: tuple[str, ...], left: tuple[str, ...]
) -> None:
    """The named one; of all, the one that learns least from labels. Labels of people leave all."""
    assert allowed(named, LEXICONS) == left
    assert allowed(named, None) == named


def test_labels_of_lexicons_choose_between_no_strategies() -> None:
    """Who names several is asked for one."""
    with pytest.raises(SettingError, match=r"chooses no strategy: name one .* ensemble, voting"):
        allowed(("ensemble", "voting"), LEXICONS)
