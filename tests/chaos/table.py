"""The table of scenarios: a line each; its module says what is done, and what must hold."""

from typing import Final

from tests.chaos.scenario import Load, Scenario
from tests.chaos.scenarios import killing, poisoning, replaying, scaling

SCENARIOS: Final = (
    Scenario(
        "kill",
        "kill -9 of random workers of 3, every tenth between flush and commit",
        killing.run,
        Load(100_000, 200.0, faults=50),
        Load(2_000, 14.0, faults=3),
    ),
    Scenario(
        "scale",
        "one worker, two, one again",
        scaling.run,
        Load(9_000, 45.0),
        Load(1_500, 12.0),
    ),
    Scenario(
        "replay",
        "replay of dead letters, killed in the middle",
        replaying.run,
        Load(10_000, 0.0, faults=10),
        Load(2_400, 0.0, faults=6),
    ),
    Scenario(
        "poison",
        "posts that make the model raise, 1 %",
        poisoning.run,
        Load(20_000, 40.0),
        Load(3_000, 6.0),
    ),
)


def by_name(name: str) -> Scenario:
    """Find a line of the table."""
    return next(each for each in SCENARIOS if each.name == name)
