"""A broker whose calls to Kafka are watched: one that never comes back ends the process.

`poll` is not among them: while it does not come back `/healthz` says so, and the group sends the
worker away.
"""

from collections.abc import Collection, Mapping, Sequence

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
from worker.watchdog import Watchdog


class WatchedBroker:
    """A `Broker`; what is not a wait is handed on as it is."""

    def __init__(self, broker: Broker, watchdog: Watchdog, transaction_timeout_s: float) -> None:
        """Watch `broker`; an open transaction of longer than its timeout has lost its point."""
        self._broker = broker
        self._watchdog = watchdog
        self._transaction_timeout_s = transaction_timeout_s

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Wait for records."""
        return self._broker.poll(timeout_s, records_max)

    def pause(self, partitions: Collection[Partition]) -> None:
        """Give no records of these."""
        self._broker.pause(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """Give records of these again."""
        self._broker.resume(partitions)

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`."""
        self._broker.seek(partition, offset)

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Give the group's stable positions."""
        with self._watchdog.bounding("asking for committed offsets", timeout_s):
            return self._broker.committed(partitions, timeout_s)

    def ends(self, partitions: Collection[Partition], timeout_s: float) -> Mapping[Partition, Ends]:
        """Give the ends of the logs; both are asked for, one after the other."""
        with self._watchdog.bounding("asking for the ends of the logs", 2 * timeout_s):
            return self._broker.ends(partitions, timeout_s)

    def partitions(self, topic: str, timeout_s: float) -> int:
        """Count the partitions of a topic."""
        with self._watchdog.bounding(f"looking up topic {topic!r}", timeout_s):
            return self._broker.partitions(topic, timeout_s)

    def mark(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Commit positions outside any transaction."""
        with self._watchdog.bounding("committing offsets", timeout_s):
            self._broker.mark(positions, membership, timeout_s)

    def begin(self, timeout_s: float) -> Transaction:
        """Begin a transaction, and watch that it comes to its flush."""
        # A producer is connected first, and takes the transactional id over then.
        with self._watchdog.bounding("beginning a transaction", 2 * timeout_s):
            transaction = self._broker.begin(timeout_s)
        return _WatchedTransaction(transaction, self._watchdog, self._transaction_timeout_s)

    def close(self, timeout_s: float, *, leave: bool) -> None:
        """Close all."""
        with self._watchdog.bounding("closing the connections to Kafka", timeout_s):
            self._broker.close(timeout_s, leave=leave)


class _WatchedTransaction:
    """A `Transaction`. Sends are watched as one, from its begin to its flush: they are many."""

    def __init__(self, transaction: Transaction, watchdog: Watchdog, timeout_s: float) -> None:
        self._transaction = transaction
        self._watchdog = watchdog
        self._sending = watchdog.begin("sending the records of a transaction", timeout_s)

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        """Queue a record."""
        return self._transaction.send(outgoing)

    def settle(self, timeout_s: float) -> Sequence[Receipt]:
        """Wait until all that was sent is written."""
        self._watchdog.over(self._sending)
        with self._watchdog.bounding("the flush of a transaction", timeout_s):
            return self._transaction.settle(timeout_s)

    def offsets(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Add the group's positions to the transaction."""
        self._watchdog.over(self._sending)
        with self._watchdog.bounding("adding offsets to a transaction", timeout_s):
            self._transaction.offsets(positions, membership, timeout_s)

    def commit(self, timeout_s: float) -> None:
        """Commit."""
        with self._watchdog.bounding("the commit of a transaction", timeout_s):
            self._transaction.commit(timeout_s)

    def abort(self, timeout_s: float) -> None:
        """Abort."""
        self._watchdog.over(self._sending)
        with self._watchdog.bounding("the abort of a transaction", timeout_s):
            self._transaction.abort(timeout_s)
