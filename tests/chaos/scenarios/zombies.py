"""Have workers sleep through their session in the middle of a commit, and try to go on with it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from tests.chaos.fleet import Fleet
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import PARTITIONS, QUICK, START_S, Trial, trial

WORKERS: Final = 3
# A transaction may be held up for longer before it is given up: the fault must come first.
SETTINGS: Final = {**QUICK, "transaction_timeout_ms": 5_000}
HELD_S: Final = 15.0
Asleep = Callable[[Fleet, int], AbstractContextManager[None]]


def stopped(place: Place, load: Load) -> Figures:
    """SIGSTOP with all written and offsets about to be sent; SIGCONT when others own all."""

    @contextmanager
    def asleep(flock: Fleet, slot: int) -> Iterator[None]:
        flock.signal(slot, signal.SIGSTOP)
        flock.release(slot)  # from where it is held, once it is woken
        try:
            yield
        finally:
            flock.signal(slot, signal.SIGCONT)

    return _run(place, load, "offsets", asleep)


def stalled(place: Place, load: Load) -> Figures:
    """The poll thread sleeps past max.poll.interval, and a commit of before that comes late."""

    @contextmanager
    def asleep(flock: Fleet, slot: int) -> Iterator[None]:
        try:
            yield
        finally:
            # It must not learn from a poll what it has lost, before it tries to commit.
            flock.release(slot, but="poll")

    return _run(place, load, "begin poll", asleep)


def _run(place: Place, load: Load, steps: str, asleep: Asleep) -> Figures:
    with trial(place, load, workers=WORKERS, settings=SETTINGS) as tried:
        tried.figures.hits = {"zombies": 0, "commits refused": 0}
        while tried.sending:
            slot = tried.figures.hits["zombies"] % WORKERS
            if tried.flock.hold(slot, steps, HELD_S):
                _outlive(tried, slot, asleep)
            tried.flock.release(slot)
            tried.wait(0.5)
    figures = tried.figures
    zombies, refused = figures.hits["zombies"], figures.hits["commits refused"]
    figures.demand(zombies >= load.faults, f"{zombies} zombies of {load.faults}")
    figures.demand(refused == zombies, f"{zombies - refused} zombies committed")
    return figures


def _outlive(tried: Trial, slot: int, asleep: Asleep) -> None:
    """Let a worker sleep until the others own all partitions; its offsets are to be refused."""
    flock, figures = tried.flock, tried.figures
    others = [other for other in flock.processes if other != slot]
    before = len(flock.raised(slot, "offsets"))
    with asleep(flock, slot):
        moved = flock.owned_by_s(others, PARTITIONS, len(others), START_S)
        figures.demand(moved, f"nobody took over from slot {slot}: {flock.log(others[0])}")
    figures.hit("zombies")
    refused = flock.wait_until(lambda: len(flock.raised(slot, "offsets")) > before, START_S)
    flock.release(slot)
    figures.hit("commits refused", int(refused))
    shared = flock.shared_out_s(PARTITIONS, WORKERS, START_S)
    figures.demand(shared, f"slot {slot} did not come back: {flock.log(slot)}")
