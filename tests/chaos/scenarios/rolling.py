"""Restart all workers under load, one after the other: no partition moves, and no post is late."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.chaos.oracle import Follower
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.topics import Topics
from tests.chaos.trial import PARTITIONS, START_S, Trial, trial

WORKERS: Final = 4
ADDED_S_MAX: Final = 3.0
LOOK_S: Final = 0.05


def run(place: Place, load: Load) -> Figures:
    """Stop each worker so that it stays in its group, and start it again; a calm part before."""
    with trial(place, load, workers=WORKERS, settings={"leave_on_stop": False}) as tried:
        with lateness(tried.topics) as calm:
            tried.wait(load.seconds / 4)
        before = [tried.flock.owned(slot) for slot in range(WORKERS)]
        with lateness(tried.topics) as rolled:
            for slot in range(WORKERS):
                _restart(tried, slot, before[slot][-1][1])
            tried.wait(1.0)
    figures = tried.figures
    added_s = rolled.worst_s - calm.worst_s
    figures.shown["worst added latency"] = f"{added_s:.1f} s"
    figures.demand(added_s <= ADDED_S_MAX, f"posts came {added_s:.1f} s later than before")
    return figures


def _restart(tried: Trial, slot: int, partitions: int) -> None:
    """Restart a worker; it is to own again what it did, and the others to notice nothing."""
    flock, figures = tried.flock, tried.figures
    others = {each: len(flock.owned(each)) for each in range(WORKERS) if each != slot}
    code = flock.stop(slot)[1]
    figures.demand(code == 0, f"slot {slot} did not stop in order: {code}")
    flock.start(slot)
    back = flock.owned_by_s([slot], partitions, 1, START_S)
    figures.demand(back, f"slot {slot} owns other partitions than before: {flock.log(slot)}")
    moved = sum(len(flock.owned(each)) - count for each, count in others.items())
    figures.demand(not moved, f"others noticed the restart of slot {slot}, {moved} times")
    figures.demand(
        flock.shared_out_s(PARTITIONS, WORKERS, 0.5), f"after slot {slot} not all are owned"
    )
    figures.hit("restarts")


class Lateness(threading.Thread):
    """Takes the time from a post's timestamp until its outcome is visible, at its worst."""

    def __init__(self, topics: Topics) -> None:
        super().__init__(name="lateness", daemon=True)
        self._follower = Follower(topics)
        self._enough = threading.Event()
        self.worst_s = 0.0

    def run(self) -> None:
        """Look until it is enough."""
        began_s = time.time()
        while not self._enough.is_set():
            self.worst_s = max(self.worst_s, self._follower.look_for_late(LOOK_S, began_s))

    def stop(self) -> None:
        """It is enough."""
        self._enough.set()
        self.join()
        self._follower.close()


@contextmanager
def lateness(topics: Topics) -> Iterator[Lateness]:
    """Take the lateness of what is written meanwhile."""
    watching = Lateness(topics)
    watching.start()
    try:
        yield watching
    finally:
        watching.stop()
