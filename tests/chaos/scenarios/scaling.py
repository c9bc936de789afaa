"""Let a worker come and go under load: partitions must move at once."""

from typing import Final

from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import PARTITIONS, START_S, trial

MOVED_S_MAX: Final = 3.0


def run(place: Place, load: Load) -> Figures:
    """One worker, then two, then one again."""
    moved_s = {}
    with trial(place, load, workers=1) as tried:
        flock = tried.flock
        tried.wait(load.seconds / 3)
        flock.start(1)
        shared_s = flock.shared_out_s(PARTITIONS, 2, START_S)
        assert shared_s is not None, flock.log(1)
        moved_s["to the second in"] = shared_s - flock.owned(1)[0][0]
        tried.wait(load.seconds / 3)
        left_s, code = flock.stop(1)
        tried.figures.demand(code == 0, "the second worker did not stop in order")
        shared_s = flock.shared_out_s(PARTITIONS, 1, START_S)
        assert shared_s is not None, flock.log(0)
        moved_s["back in"] = shared_s - left_s
    for name, seconds in moved_s.items():
        tried.figures.hit("moves")
        tried.figures.shown[name] = f"{seconds:.1f} s"
        tried.figures.demand(seconds <= MOVED_S_MAX, f"{name} {seconds:.1f} s")
    return tried.figures
