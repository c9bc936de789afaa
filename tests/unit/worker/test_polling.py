"""The poll thread while too much is in flight: it goes on polling, and gets nothing."""

import threading
from collections.abc import Collection, Mapping
from typing import cast

import pytest
from prometheus_client import CollectorRegistry

from worker.batching import Inbox
from worker.kafka.broker import Broker, Membership, Polled, Position
from worker.messages import Partition, Record
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.polling import Poller
from worker.settings import WorkerSettings

A, B = Partition("posts", 0), Partition("posts", 1)
MEMBER = Membership(object())


class ScriptedBroker:
    """Brings what it is told to, then nothing; and keeps what is paused."""

    def __init__(self, *brings: Polled) -> None:
        self._brings = iter(brings)
        self.polls = 0
        self.paused: set[Partition] = set()

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Bring the next."""
        self.polls += 1
        return next(self._brings, Polled((), {}, (), (), (), MEMBER))

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Nothing was committed."""
        return {}

    def ends(self, partitions: Collection[Partition], timeout_s: float) -> Mapping[Partition, int]:
        """Tell of no ends."""
        return {}

    def pause(self, partitions: Collection[Partition]) -> None:
        """Note it."""
        self.paused |= set(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """Note it."""
        self.paused -= set(partitions)


@pytest.fixture
def broker() -> ScriptedBroker:
    """Two records of one partition, then another partition."""
    records = [Record(A, offset, None, b"{}", (), 0) for offset in (0, 1)]
    return ScriptedBroker(
        Polled(records, {A: 2}, (A,), (), (), MEMBER), Polled((), {}, (B,), (), (), MEMBER)
    )


@pytest.fixture
def poller(broker: ScriptedBroker) -> Poller:
    """A poller that pauses at two records."""
    return Poller(
        cast("Broker", broker),
        Ledger(),
        Inbox(8),
        WorkerSettings(in_flight_records_max=2, poll_records_max=2, batch_records_max=1),
        Metrics(CollectorRegistry()),
        threading.Event(),
    )


def test_while_a_batch_takes_long_its_partitions_are_paused_and_polled(
    poller: Poller, broker: ScriptedBroker
) -> None:
    """Who does not poll is sent away by the group."""
    for _ in range(3):
        poller.turn()
    assert A in broker.paused
    assert broker.polls == 3


def test_what_is_gained_meanwhile_is_paused_as_well(poller: Poller, broker: ScriptedBroker) -> None:
    """The client gives records of it at once."""
    for _ in range(2):
        poller.turn()
    assert broker.paused == {A, B}
