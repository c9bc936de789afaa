"""Any order of faults, turns and commits, on the cluster in memory and in one thread.

A failure is shrunk to the shortest story that shows it, and told.
"""

import logging
from typing import Final

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.any_order.machine import AnyOrder
from tests.any_order.world import World
from tests.chaos.scenario import Figures, Load, Place

EXAMPLES: Final = 500
STEPS_OF_AN_EXAMPLE: Final = 30


def run(_place: Place, load: Load) -> Figures:
    """Go on until `load.faults` steps are done: each is a turn, a round of turns or a fault."""
    figures = Figures(hits={"steps": 0, "stories": 0})

    class Counted(AnyOrder):
        def teardown(self) -> None:
            super().teardown()
            _count(figures, self.world)

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        number = load.seed
        while figures.hits["steps"] < load.faults:
            run_state_machine_as_test(seed(number)(Counted), settings=_settings())
            number += 1
    except AssertionError as error:
        told = [str(error), *getattr(error, "__notes__", ())]
        figures.demand(False, "\n".join(told))
    finally:
        structlog.reset_defaults()
    return figures


def _settings() -> settings:
    return settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS_OF_AN_EXAMPLE,
        phases=(Phase.generate, Phase.shrink),
        # A busy machine is no fault of the code.
        suppress_health_check=(HealthCheck.too_slow,),
        database=None,
        deadline=None,
        report_multiple_bugs=False,
    )


def _count(figures: Figures, world: World) -> None:
    figures.posts += len(world.sources())
    figures.hit("steps", world.steps)
    figures.hit("stories")
