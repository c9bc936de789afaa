"""The seam between the worker and Kafka: narrow enough that another client can stand in.

Consumer calls belong to the poll thread, a `Transaction` to the commit thread; every wait has a
bound, in seconds. What is raised is drawn in `worker.errors`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

from worker.messages import Outgoing, Partition, Receipt, Record

Membership = NewType("Membership", object)
"""Proof of being in the group, valid until its next generation. Opaque outside the seam."""


@dataclass(frozen=True, slots=True)
class TooLarge:
    """An outgoing record over the broker's limit; `bytes_max` is that limit."""

    bytes_max: int


@dataclass(frozen=True, slots=True)
class Position:
    """An offset to read next, and the note stored with it."""

    offset: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """The ends of a log: `stable` is where a read_committed reader stops, `high` the true end."""

    stable: int
    high: int


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought.

    `next_offsets` is where the next poll of each partition with records goes on: markers and
    compaction leave gaps, so it is not the last offset + 1. `gained`, `revoked` and `lost` are
    the changes of ownership since the poll before, in that order of time reversed: what is both
    revoked and gained was given back and is owned now. `membership` was taken after the poll;
    None while the group is not stable.
    """

    records: Sequence[Record]
    next_offsets: Mapping[Partition, int]
    gained: Collection[Partition]
    revoked: Collection[Partition]
    lost: Collection[Partition]
    membership: Membership | None


class Transaction(Protocol):
    """One transaction: send, settle, offsets, commit; or abort. After any error it is dead."""

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        """Queue a record; a record over the limit is refused, and the transaction goes on."""

    def settle(self, timeout_s: float) -> Sequence[Receipt]:
        """Wait until all that was sent is written, check each, and give receipts in order."""

    def offsets(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Add the group's positions to the transaction, vouched for by `membership`."""

    def commit(self, timeout_s: float) -> None:
        """Commit, or raise `InDoubt`."""

    def abort(self, timeout_s: float) -> None:
        """Abort; when that fails the next `begin` does it, since it fences this producer."""


class Broker(Protocol):
    """A member of a consumer group, and a transactional producer of one slot."""

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Wait for records at most `timeout_s`, and give at most `records_max`.

        A partition that cannot be read on is raised once (`Undecodable`, `OffsetOutOfRange`) and
        stopped until a `seek`; the others go on. A member whose slot was taken (`SlotTaken`) or
        whose topic is not the one that it was (`TopicMadeAnew`, `UnknownTopic`) cannot go on.
        A poll that raises takes nothing: changes of ownership come with the next.
        """

    def pause(self, partitions: Collection[Partition]) -> None:
        """Give no records of these until `resume`; what is not owned is ignored."""

    def resume(self, partitions: Collection[Partition]) -> None:
        """Give records of these again; what is not owned is ignored."""

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`; what is not owned is ignored."""

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Give the group's stable positions; a partition without one is left out.

        What was committed of another topic of the same name is no position of this one, and
        begins no reading: neither here nor in `poll`.
        """

    def ends(self, partitions: Collection[Partition], timeout_s: float) -> Mapping[Partition, Ends]:
        """Give the ends of the logs."""

    def partitions(self, topic: str, timeout_s: float) -> int:
        """Count the partitions of a topic."""

    def mark(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        """Commit positions outside any transaction."""

    def begin(self, timeout_s: float) -> Transaction:
        """Begin a transaction, with a new producer when the last one was thrown away."""

    def close(self, timeout_s: float, *, leave: bool) -> None:
        """Close all; `leave` tells the group, so that the partitions move at once."""
