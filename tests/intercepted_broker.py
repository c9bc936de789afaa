"""A broker whose every call passes somebody who may fail it, hold it up, or end the process.

What is tested knows nothing of it: the wrapper is a `Broker`, of whatever broker it is given.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol, TypeVar

from worker.kafka.broker import (
    Broker,
    Ends,
    Membership,
    Polled,
    Position,
    TooLarge,
    Transaction,
)
from worker.messages import Outgoing, Partition, Receipt

Given = TypeVar("Given")


class Interceptor(Protocol):
    """Whom the calls pass. `call` is the name of the seam's method."""

    def around(self, call: str, work: Callable[[], Given]) -> Given:
        """Do the work, or not; give what it gave, or raise what the seam may raise."""


class InterceptedBroker:
    """A `Broker`."""

    def __init__(self, broker: Broker, interceptor: Interceptor) -> None:
        self._broker = broker
        self._around = interceptor.around
        self._interceptor = interceptor

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Wait for records."""
        return self._around("poll", lambda: self._broker.poll(timeout_s, records_max))

    def pause(self, partitions: Collection[Partition]) -> None:
        """Give no records of these."""
        self._around("pause", lambda: self._broker.pause(partitions))

    def resume(self, partitions: Collection[Partition]) -> None:
        """Give records of these again."""
        self._around("resume", lambda: self._broker.resume(partitions))

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`."""
        self._around("seek", lambda: self._broker.seek(partition, offset))

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Give the group's stable positions."""
        return self._around("committed", lambda: self._broker.committed(partitions, timeout_s))

    def ends(self, partitions: Collection[Partition], timeout_s: float) -> Mapping[Partition, Ends]:
        """Give the ends of the logs."""
        return self._around("ends", lambda: self._broker.ends(partitions, timeout_s))

    def partitions(self, topic: str, timeout_s: float) -> int:
        """Count the partitions of a topic."""
        return self._around("partitions", lambda: self._broker.partitions(topic, timeout_s))

    def mark(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Commit positions outside any transaction."""
        self._around("mark", lambda: self._broker.mark(positions, membership, timeout_s))

    def begin(self, timeout_s: float) -> Transaction:
        """Begin a transaction."""
        transaction = self._around("begin", lambda: self._broker.begin(timeout_s))
        return InterceptedTransaction(transaction, self._interceptor)

    def close(self, timeout_s: float, *, leave: bool) -> None:
        """Close all."""
        self._around("close", lambda: self._broker.close(timeout_s, leave=leave))


class InterceptedTransaction:
    """A `Transaction`."""

    def __init__(self, transaction: Transaction, interceptor: Interceptor) -> None:
        self._transaction = transaction
        self._around = interceptor.around

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        """Queue a record."""
        return self._around("send", lambda: self._transaction.send(outgoing))

    def settle(self, timeout_s: float) -> Sequence[Receipt]:
        """Wait until all that was sent is written."""
        return self._around("settle", lambda: self._transaction.settle(timeout_s))

    def offsets(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Add the group's positions to the transaction."""
        self._around("offsets", lambda: self._transaction.offsets(positions, membership, timeout_s))

    def commit(self, timeout_s: float) -> None:
        """Commit."""
        self._around("commit", lambda: self._transaction.commit(timeout_s))

    def abort(self, timeout_s: float) -> None:
        """Abort."""
        self._around("abort", lambda: self._transaction.abort(timeout_s))
