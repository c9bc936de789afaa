"""Kill a worker at each place of its commit, start, rebalance and close, again and again."""

import random
import signal
import subprocess
from typing import Final

from tests.chaos.failpoint import OF_CLOSE, OF_COMMIT, PLACES, VARIABLE
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import PARTITIONS, START_S, Trial, trial

WORKERS: Final = 3
VICTIM: Final = 0
REBALANCER: Final = 1
DEATH_S: Final = 30.0
"""How long a worker may take to come to its failpoint, its start included."""
TIMES_MAX: Final = 5
"""The so many-th time at most that it comes to a place of a commit."""
MOST_AT_STAKE: Final = (
    *("after settle", "before commit", "after commit", "before abort"),
    *("after connect", "after gained", "after revoked", "before close"),
)


def run(place: Place, load: Load) -> Figures:
    """Kill `load.faults` times at each place; where that is once, only where most is at stake."""
    chance = random.Random(load.seed)
    places = PLACES if load.faults > 1 else MOST_AT_STAKE
    wanted = [each for each in places for _ in range(load.faults)]
    chance.shuffle(wanted)
    with trial(place, load, workers=WORKERS) as tried:
        tried.flock.kill(VICTIM)
        for number, each in enumerate(wanted):
            if not tried.sending:
                tried.figures.demand(False, f"all was sent before {len(wanted) - number} kills")
                break
            _die_at(tried, each, chance.randint(1, TIMES_MAX) if each in OF_COMMIT else 1)
        tried.flock.environments.pop(VICTIM, None)
        tried.flock.start(VICTIM)
        tried.flock.shared_out_s(PARTITIONS, WORKERS, START_S)
    tried.figures.hits = {name: tried.figures.hits.get(name, 0) for name in places}
    return tried.figures


def _die_at(tried: Trial, place: str, times: int) -> None:
    """Start the victim, bring about that it comes to the place, and see that it dies there."""
    flock = tried.flock
    # Asked once for what was gained, and again only after a commit in doubt.
    told = 1 if place.endswith("committed") else times
    flock.environments[VICTIM] = {VARIABLE: f"{place} {told}"}
    flock.start(VICTIM)
    process = flock.processes.pop(VICTIM)
    try:
        if place in OF_CLOSE:
            _wait_until_owning(tried, process)
            process.terminate()
        elif place == "after revoked":
            _wait_until_owning(tried, process)
            _rebalance(tried)
        code = process.wait(DEATH_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        tried.figures.demand(False, f"did not come to {told} × {place}: {flock.log(VICTIM)}")
        return
    died = code == -signal.SIGKILL
    tried.figures.demand(died, f"ended with {code} at {place}: {flock.log(VICTIM)}")
    tried.figures.hit(place, int(died))


def _wait_until_owning(tried: Trial, process: "subprocess.Popen[bytes]") -> None:
    """Wait until the victim owns partitions: a close of one that never joined is another thing."""
    tried.flock.processes[VICTIM] = process
    tried.flock.wait_until(lambda: any(n for _, n in tried.flock.owned(VICTIM)), DEATH_S)
    del tried.flock.processes[VICTIM]


def _rebalance(tried: Trial) -> None:
    """Have another worker leave the group and come back: the victim gains, and has to give up."""
    tried.flock.stop(REBALANCER)
    tried.flock.start(REBALANCER)
