"""Have the broker fall silent while the records of a transaction are on their way to it.

They come to be given up by their delivery timeout, and written all the same once it goes on.
"""

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
            while tried.sending and tried.figures.hits["delivery timeouts"] < load.faults:
                slot = tried.figures.hits["delivery timeouts"] % WORKERS
                _time_out(tried, kafka, slot)
    found = tried.figures.hits["delivery timeouts"]
    tried.figures.demand(found >= load.faults, f"{found} timeouts of {load.faults}")
    return tried.figures


def _time_out(tried: Trial, kafka: OwnKafka, slot: int) -> None:
    flock = tried.flock
    before = len(flock.raised(slot, "settle"))
    if flock.hold(slot, "settle", HELD_S):
        kafka.freeze()
        try:
            flock.release(slot)
            late = flock.wait_until(lambda: len(flock.raised(slot, "settle")) > before, GIVEN_UP_S)
        finally:
            kafka.thaw()
        tried.figures.hit("delivery timeouts", int(late))
        tried.figures.demand(late, f"slot {slot} gave nothing up: {flock.log(slot)}")
    flock.release(slot)
