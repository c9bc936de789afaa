"""Have a bare member join the group or leave it each second, under a backlog."""

import time
from contextlib import closing
from dataclasses import replace
from threading import Event, Thread
from typing import Final

from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.topics import Topics
from tests.chaos.trial import Trial, trial

SETTINGS: Final = {
    "in_flight_records_max": 64,
    "poll_records_max": 64,
    "batch_records_max": 16,
}
"""Little at a time, so that a backlog lasts."""
CALM_SHARE: Final = 1 / 6
THROUGHPUT_MIN: Final = 0.3
EVERY_S: Final = 1.0


def run(place: Place, load: Load) -> Figures:
    """Measure the throughput in calm, then in the storm: `load.seconds` for both."""
    with trial(place, replace(load, seconds=0.0), settings=SETTINGS) as tried:
        calm = _throughput(tried, load.seconds * CALM_SHARE)
        member = BareMember(tried.topics)
        member.start()
        try:
            storm = _throughput(tried, load.seconds * (1 - CALM_SHARE))
        finally:
            member.end()
        left = load.posts - tried.follower.look(0.0)
    figures = tried.figures
    figures.hit("joins and leaves", member.changes)
    figures.shown["posts/s in calm"] = f"{calm:,.0f}"
    figures.shown["in the storm"] = f"{storm:,.0f} ({storm / calm:.0%})"
    figures.demand(left > 0, "the backlog did not last: the load is too small for this machine")
    figures.demand(storm >= THROUGHPUT_MIN * calm, f"{storm / calm:.0%} of the calm throughput")
    return figures


def _throughput(tried: Trial, seconds: float) -> float:
    tried.catch_up_for(0.5)
    began_s, before = time.monotonic(), tried.follower.seen
    tried.catch_up_for(seconds)
    return (tried.follower.seen - before) / (time.monotonic() - began_s)


class BareMember(Thread):
    """Joins, owns what it is given for a second, leaves, and stays away for a second."""

    def __init__(self, topics: Topics) -> None:
        super().__init__(name="bare member", daemon=True)
        self._topics = topics
        self._over = Event()
        self.changes = 0

    def end(self) -> None:
        """Join no more."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Come and go."""
        while not self._over.is_set():
            with closing(self._member()) as member:
                until_s = time.monotonic() + EVERY_S
                while time.monotonic() < until_s:
                    member.poll(50)
                self.changes += bool(member.assignment())
            self.changes += 1
            self._over.wait(EVERY_S)

    def _member(self) -> KafkaConsumer:
        return KafkaConsumer(
            self._topics.posts,
            bootstrap_servers=self._topics.servers,
            group_id=self._topics.name,
            partition_assignment_strategy=(CooperativeStickyAssignor,),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=30_000,
        )
