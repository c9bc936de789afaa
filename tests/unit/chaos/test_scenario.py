from collections.abc import Callable

import pytest

from tests.chaos.run import run
from tests.chaos.scenario import Figures, Load, Place, Scenario
from tests.chaos.table import SCENARIOS

BREAKS: list[tuple[str, Callable[[Figures], object]]] = [
    ("lost", lambda figures: setattr(figures, "lost", 1)),
    ("twice", lambda figures: setattr(figures, "twice", 1)),
    ("a figure", lambda figures: figures.demand(False, "it took 11 s")),
    ("a counter", lambda figures: figures.hit("in commit", 0)),
]


def hit() -> Figures:
    """Figures of a fault that hit."""
    return Figures(posts=1, hits={"kills": 1})


def test_a_run_whose_fault_hit_and_lost_nothing_is_all_right() -> None:
    """Aborted rows prove as much as a count does."""
    assert hit().failures == []
    assert Figures(posts=1, uncommitted=1).failures == []


@pytest.mark.parametrize(("name", "broken"), BREAKS, ids=[name for name, _ in BREAKS])
def test_a_run_fails_by(name: str, broken: Callable[[Figures], object]) -> None:
    """Each of these alone."""
    figures = hit()
    broken(figures)
    assert len(figures.failures) == 1


def test_a_run_whose_fault_has_not_hit_fails() -> None:
    """Nothing lost is no news then."""
    assert Figures(posts=1).failures == ["nothing shows that the fault has hit"]


def scenario(work: Callable[[Place, Load], Figures], lacking: str = "") -> Scenario:
    """A line of a table of its own."""
    return Scenario("one", "one", work, Load(1, 1.0), Load(1, 1.0), lambda: lacking)


def test_what_a_machine_cannot_run_is_refused_by_name_and_fails(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """It is not left out in silence."""
    folder = tmp_path_factory.mktemp("chaos")
    figures = run(scenario(lambda *_: hit(), "faketime is missing"), "", folder, True)
    assert "refused: faketime is missing" in figures.failures


def test_a_scenario_that_breaks_off_fails_and_the_next_one_runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Its own assertion says why."""

    def breaks(_place: Place, _load: Load) -> Figures:
        raise AssertionError("slot 0 ended")

    folder = tmp_path_factory.mktemp("chaos")
    assert "broke off: slot 0 ended" in run(scenario(breaks), "", folder, True).failures


def test_each_scenario_has_a_name_of_its_own() -> None:
    """By it it is run, and its row is found."""
    names = [each.name for each in SCENARIOS]
    assert len(set(names)) == len(names)
