"""Which records are in work, which have come to an outcome, and how far that may be committed.

A position is committed only together with the outcomes of every record before it, and an outcome
only together with the position after it. Offsets have gaps (transaction markers, compaction), so
records are kept in the order of the log and never counted.

Ownership has epochs: a partition that was taken away and came back is another one, and what was
polled before counts for nothing. Kafka itself checks only that the member is in the group.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from worker.errors import TransactionAborted
from worker.kafka.broker import Membership, Polled, Position
from worker.messages import Outcome, Partition, Record


@dataclass(frozen=True, slots=True)
class Ready:
    """Outcomes that may be committed, in order, the positions after them, and their epochs."""

    outcomes: Sequence[Outcome]
    positions: Mapping[Partition, Position]
    epochs: Mapping[Partition, int]


class _Lane:
    """One partition, for as long as it is owned without a break."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        # By offset, in the order of the log; an OrderedDict gives up its head in constant time.
        self.in_flight: OrderedDict[int, Record] = OrderedDict()
        self.outcomes: dict[int, Outcome] = {}
        self.next_offset: int | None = None

    @property
    def ready_now(self) -> bool:
        return next(iter(self.in_flight), None) in self.outcomes

    def ready(self) -> list[Outcome]:
        found: list[Outcome] = []
        for offset in self.in_flight:
            outcome = self.outcomes.get(offset)
            if outcome is None:
                break
            found.append(outcome)
        return found

    def position_after(self, count: int) -> int | None:
        """Give where the log goes on after the first `count` records in flight."""
        return next(islice(self.in_flight, count, None), self.next_offset)


class Ledger:
    """The bookkeeping between the poll thread, the stages and the commit thread; thread-safe."""

    def __init__(self) -> None:
        self._lanes: dict[Partition, _Lane] = {}
        self._epochs = 0
        self._membership: Membership | None = None
        self._records = 0
        self._bytes = 0
        self._changed = threading.Condition()

    def polled(self, polled: Polled) -> Sequence[Record]:
        """Take over what a poll brought, and give the records of it that are owned."""
        with self._changed:
            self._membership = polled.membership
            for partition in (*polled.revoked, *polled.lost):
                self._drop(partition)
            for partition in polled.gained:
                self._drop(partition)
                self._epochs += 1
                self._lanes[partition] = _Lane(self._epochs)
            for partition, offset in polled.next_offsets.items():
                if partition in self._lanes:
                    self._lanes[partition].next_offset = offset
            owned = [record for record in polled.records if record.partition in self._lanes]
            for record in owned:
                self._lanes[record.partition].in_flight[record.offset] = record
                self._bytes += _size(record)
            self._records += len(owned)
            self._changed.notify_all()
        return owned

    def current(self, records: Sequence[Record]) -> Sequence[Record]:
        """Give the records that are still owned; work on the others would be in vain."""
        with self._changed:
            return [record for record in records if self._owns(record)]

    def settle(self, outcomes: Iterable[Outcome]) -> None:
        """Note what records came to; outcomes of records no longer owned are dropped."""
        with self._changed:
            for outcome in outcomes:
                if self._owns(outcome.source):
                    lane = self._lanes[outcome.source.partition]
                    lane.outcomes[outcome.source.offset] = outcome
            self._changed.notify_all()

    def ready(self) -> Ready:
        """Give all that may be committed now; it stays until `committed` or a revocation."""
        with self._changed:
            outcomes: list[Outcome] = []
            positions: dict[Partition, Position] = {}
            epochs: dict[Partition, int] = {}
            for partition, lane in self._lanes.items():
                found = lane.ready()
                position = lane.position_after(len(found))
                if found and position is not None:
                    outcomes += found
                    positions[partition] = Position(position)
                    epochs[partition] = lane.epoch
            return Ready(outcomes, positions, epochs)

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait until something may be committed, and say whether it may."""
        with self._changed:
            return self._changed.wait_for(self._any_ready, timeout_s)

    def wait_for_more(self, outcomes: int, timeout_s: float) -> None:
        """Wait while fewer than `outcomes` are there, and records in work may add to them."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._outcomes_count >= min(outcomes, self._records), timeout_s
            )

    def vouch(self, ready: Ready, timeout_s: float) -> Membership:
        """Give the membership under which `ready` may be committed.

        Ownership and membership are looked at under one lock, as one poll brought them. In the
        middle of a rebalance there is no membership: it is waited for.

        Raises:
            TransactionAborted: a partition of `ready` was taken away, or no membership came.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._membership is not None or not self._unchanged(ready), timeout_s
            )
            if self._membership is None or not self._unchanged(ready):
                raise TransactionAborted("partitions were taken away while it was written")
            return self._membership

    def committed(self, ready: Ready) -> None:
        """Forget what was committed, unless its partition has been taken away since."""
        with self._changed:
            for outcome in ready.outcomes:
                record = outcome.source
                lane = self._lanes.get(record.partition)
                if lane is None or lane.epoch != ready.epochs[record.partition]:
                    continue
                del lane.in_flight[record.offset], lane.outcomes[record.offset]
                self._records -= 1
                self._bytes -= _size(record)

    def positions(self) -> Mapping[Partition, int | None]:
        """Give, for each owned partition, the offset before which all is committed."""
        with self._changed:
            return {partition: lane.position_after(0) for partition, lane in self._lanes.items()}

    @property
    def owned(self) -> Collection[Partition]:
        """The partitions that are owned now."""
        with self._changed:
            return tuple(self._lanes)

    @property
    def is_member(self) -> bool:
        """Whether the last poll saw a stable membership."""
        return self._membership is not None

    @property
    def load(self) -> tuple[int, int]:
        """Records and bytes that were polled and are not committed."""
        return self._records, self._bytes

    def _drop(self, partition: Partition) -> None:
        lane = self._lanes.pop(partition, None)
        if lane is not None:
            self._records -= len(lane.in_flight)
            self._bytes -= sum(map(_size, lane.in_flight.values()))

    @property
    def _outcomes_count(self) -> int:
        return sum(len(lane.outcomes) for lane in self._lanes.values())

    def _owns(self, record: Record) -> bool:
        lane = self._lanes.get(record.partition)
        # The very record: the same offset may have been polled again in a later epoch.
        return lane is not None and lane.in_flight.get(record.offset) is record

    def _any_ready(self) -> bool:
        return any(lane.ready_now for lane in self._lanes.values())

    def _unchanged(self, ready: Ready) -> bool:
        return all(
            partition in self._lanes and self._lanes[partition].epoch == epoch
            for partition, epoch in ready.epochs.items()
        )


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")
