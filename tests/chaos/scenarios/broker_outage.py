"""Take the broker away under load, again and again, and see how soon verdicts come again."""

from collections.abc import Callable
from typing import Final

from tests.chaos.own_kafka import OwnKafka, own_kafka
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import Trial, trial

RECOVERS_S_MAX: Final = 10.0


def stopped(place: Place, load: Load) -> Figures:
    """Stop it cleanly, and start it again."""
    return _run(place, load, lambda kafka: kafka.stop())


def killed(place: Place, load: Load) -> Figures:
    """End it by kill -9, and start it again."""
    return _run(place, load, lambda kafka: kafka.kill())


def _run(place: Place, load: Load, harm: Callable[[OwnKafka], None]) -> Figures:
    recovered_s: list[float] = []
    with own_kafka(place.folder / "kafka") as kafka:
        own = Place(place.name, place.folder, kafka.servers)
        with trial(own, load) as tried:
            tried.figures.hits = {"outages": 0}
            while tried.sending and tried.figures.hits["outages"] < load.faults:
                tried.wait(load.seconds / load.faults / 4)
                harm(kafka)
                tried.catch_up()
                kafka.start()
                tried.figures.hit("outages")
                recovered_s.append(_recovery_s(tried))
    worst_s = max(recovered_s, default=0.0)
    figures = tried.figures
    figures.shown["verdicts again after it is back within"] = f"{worst_s:.1f} s"
    figures.demand(len(recovered_s) >= load.faults, f"{len(recovered_s)} outages")
    figures.demand(worst_s <= RECOVERS_S_MAX, f"verdicts came again after {worst_s:.1f} s")
    return figures


def _recovery_s(tried: Trial) -> float:
    seconds = tried.flows_again_s()
    assert seconds is not None, tried.flock.log(0)
    return seconds
