"""Have the broker fall silent while the records of a transaction are on their way to it.

They come to be given up by their delivery timeout, and written all the same once it goes on.
"""

from itertools import count
from typing import Final

from tests.chaos.own_kafka import OwnKafka, own_kafka
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import QUICK, Trial, trial

WORKERS: Final = 2
HELD_S: Final = 15.0
GIVEN_UP_S: Final = 15.0


def run(place: Place, load: Load) -> Figures:
    """Freeze the broker with a transaction about to be flushed, until the flush has failed."""
    with own_kafka(place.folder / "kafka") as kafka:
        own = Place(place.name, place.folder, kafka.servers)
        with trial(own, load, workers=WORKERS, settings=QUICK) as tried:
            tried.figures.hits = {"delivery timeouts": 0}
            for turn in count():
                if not tried.sending or tried.figures.hits["delivery timeouts"] >= load.faults:
                    break
                _time_out(tried, kafka, turn % WORKERS)
    found = tried.figures.hits["delivery timeouts"]
    tried.figures.demand(found >= load.faults, f"{found} timeouts of {load.faults}")
    return tried.figures


def _time_out(tried: Trial, kafka: OwnKafka, slot: int) -> None:
    """Freeze the broker before records are flushed, until the flush has failed."""
    flock = tried.flock
    before = len(flock.raised(slot, "settle"))
    if flock.hold(slot, "settle", HELD_S):
        kafka.freeze()
        try:
            flock.release(slot)
            failed = flock.wait_until(
                lambda: len(flock.raised(slot, "settle")) > before, GIVEN_UP_S
            )
        finally:
            kafka.thaw()
        tried.figures.demand(failed, f"slot {slot} gave nothing up: {flock.log(slot)}")
        tried.figures.hit("delivery timeouts", len(flock.raised(slot, "settle")) - before)
    flock.release(slot)
