"""Which records are in work, which have come to an outcome, and how far that may be committed.

A position is committed only together with the outcomes of every record before it, and an outcome
only together with the position after it. Offsets have gaps (transaction markers, compaction), so
records are kept in the order of the log and never counted.

Ownership has epochs: a partition that was taken away and came back is another one, and what was
polled before counts for nothing. Kafka itself checks only that the member is in the group.

Records of a partition that was gained are worked on only once that is written down beside its
offset, which stays where it is: `worker.attempts` says what for.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import dropwhile, islice

from worker.attempts import SUSPICIOUS, attempts_in, note_of
from worker.errors import TransactionAborted
from worker.kafka.broker import Ends, Membership, Polled, Position
from worker.messages import Outcome, Partition, Record


@dataclass(frozen=True, slots=True)
class Ready:
    """Outcomes that may be committed, in order, the positions after them, and their epochs.

    `marks` are partitions that are to be begun: their old offsets, with a note.
    """

    outcomes: Sequence[Outcome]
    positions: Mapping[Partition, Position]
    epochs: Mapping[Partition, int]
    marks: Mapping[Partition, Position] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self.outcomes or self.marks)


class _Lane:
    """One partition, for as long as it is owned without a break."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        # By offset, in the order of the log; an OrderedDict gives up its head in constant time.
        self.in_flight: OrderedDict[int, Record] = OrderedDict()
        self.outcomes: dict[int, Outcome] = {}
        self.next_offset: int | None = None
        # What nobody has begun to work on; and what the mark that comes before that is made of.
        self.waiting: list[Record] = []
        self.fresh = True
        self.asked = False
        self.committed: Position | None = None
        self.marked = False
        # The first records that are admitted, if those before this owner may have died of one.
        self.doubtful_left = 0
        self.doubtful_before = 0
        self.doubtful_end = -1

    @property
    def ready_now(self) -> bool:
        return next(iter(self.in_flight), None) in self.outcomes

    @property
    def mark_now(self) -> Position | None:
        """The mark to be made; an idle partition needs none."""
        if self.marked or not self.asked or not self.in_flight:
            return None
        # Without a committed offset the first record stands where it would be.
        found = self.committed or Position(next(iter(self.in_flight)))
        return Position(found.offset, note_of(attempts_in(found.note) + 1))

    def admit(self) -> list[Record]:
        """Give what may be worked on now, and note which of it is doubtful."""
        admitted, self.waiting = self.waiting, []
        first = admitted[: self.doubtful_left]
        doubtful = [record for record in first if record.offset < self.doubtful_before]
        if doubtful:
            self.doubtful_left -= len(doubtful)
            self.doubtful_end = doubtful[-1].offset
        return admitted

    def ready(self) -> list[Outcome]:
        found: list[Outcome] = []
        for offset in self.in_flight:
            outcome = self.outcomes.get(offset)
            if outcome is None:
                break
            found.append(outcome)
        return found

    def held_up(self) -> list[Record]:
        """Those that have an outcome, behind one that has none."""
        behind = dropwhile(lambda offset: offset in self.outcomes, self.in_flight)
        return [self.in_flight[offset] for offset in behind if offset in self.outcomes]

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
                lane = self._lanes[record.partition]
                lane.in_flight[record.offset] = record
                lane.waiting.append(record)
                self._bytes += _size(record)
            self._records += len(owned)
            self._changed.notify_all()
        return owned

    def unasked(self) -> Collection[Partition]:
        """Give partitions of which nobody knows yet how often they were begun.

        Each is given when it was gained, so that its first record need not wait for the answer;
        and, where there was none, again once it has records.
        """
        with self._changed:
            lanes = {p: each for p, each in self._lanes.items() if not each.asked}
            unasked = [p for p, lane in lanes.items() if lane.fresh or lane.in_flight]
            for lane in lanes.values():
                lane.fresh = False
            return unasked

    def asked(
        self,
        partitions: Collection[Partition],
        committed: Mapping[Partition, Position],
        ends: Mapping[Partition, Ends],
        doubtful_max: int,
    ) -> None:
        """Note what the group has `committed` of them; with their first record they are marked.

        Where owners did not come to a commit, the first `doubtful_max` records are doubtful, of
        those that are there: `ends` has such partitions.
        """
        with self._changed:
            for partition, lane in self._lanes.items():
                if partition in partitions and not lane.asked:
                    lane.asked = True
                    lane.committed = committed.get(partition)
                    attempts = attempts_in(lane.committed.note) if lane.committed else 0
                    if attempts >= SUSPICIOUS:
                        lane.doubtful_left = doubtful_max
                        lane.doubtful_before = ends[partition].high
            self._changed.notify_all()

    def admit(self) -> Sequence[Record]:
        """Give records that may be worked on now; each once."""
        with self._changed:
            lanes = [lane for lane in self._lanes.values() if lane.marked]
            return [record for lane in lanes for record in lane.admit()]

    @property
    def marking(self) -> bool:
        """Whether records wait for a mark."""
        with self._changed:
            return self._any_to_mark()

    def doubtful(self, records: Iterable[Record]) -> Sequence[Record]:
        """Give those of `records` that those before this owner may have died of."""
        with self._changed:
            return [
                record
                for record in records
                if self._owns(record)
                and record.offset <= self._lanes[record.partition].doubtful_end
            ]

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
            marks: dict[Partition, Position] = {}
            for partition, lane in self._lanes.items():
                if lane.mark_now is not None:
                    marks[partition] = lane.mark_now
                    epochs[partition] = lane.epoch
                found = lane.ready()
                position = lane.position_after(len(found))
                if found and position is not None:
                    outcomes += found
                    positions[partition] = Position(position)
                    epochs[partition] = lane.epoch
            return Ready(outcomes, positions, epochs, marks)

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
            for partition in ready.marks:
                begun = self._lanes.get(partition)
                if begun is not None and begun.epoch == ready.epochs[partition]:
                    begun.marked = True
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

    def held_up(self) -> tuple[int, int]:
        """Records and bytes that have an outcome, and wait for one before them that has none."""
        with self._changed:
            held = [record for lane in self._lanes.values() for record in lane.held_up()]
            return len(held), sum(map(_size, held))

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
        return any(lane.ready_now for lane in self._lanes.values()) or self._any_to_mark()

    def _any_to_mark(self) -> bool:
        return any(lane.mark_now is not None for lane in self._lanes.values())

    def _unchanged(self, ready: Ready) -> bool:
        return all(
            partition in self._lanes and self._lanes[partition].epoch == epoch
            for partition, epoch in ready.epochs.items()
        )


def _size(record: Record) -> int:
    return len(record.key or b"") + len(record.value or b"")
