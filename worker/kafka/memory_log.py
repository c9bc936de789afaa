"""A partition's log in memory: records, transaction markers, and who may read how far."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from enum import Enum

from worker.errors import OffsetOutOfRange, Undecodable
from worker.kafka.broker import Ends
from worker.messages import Outgoing, Partition, Record


class Fate(Enum):
    """What has become of a transaction."""

    OPEN = "open"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False, slots=True)
class Written:
    """What one transaction has written so far, and what became of it."""

    fate: Fate = Fate.OPEN
    logs: list["PartitionLog"] = field(default_factory=list)

    def end(self, fate: Fate) -> None:
        """End it: each log that it wrote to gets a marker, which takes an offset."""
        self.fate = fate
        for log in self.logs:
            log.mark_end()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One offset of a log; a marker has no record."""

    record: Record | None
    transaction: Written | None


class PartitionLog:
    """The log of one partition. Not thread-safe: the cluster's lock guards it."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self._entries: list[_Entry] = []
        self._first = 0
        self._damaged: set[int] = set()

    def append(self, outgoing: Outgoing, transaction: Written | None) -> int:
        """Write a record and give its offset."""
        offset = len(self._entries)
        record = Record(
            self.partition,
            offset,
            outgoing.key,
            outgoing.value,
            outgoing.headers,
            outgoing.timestamp_ms,
        )
        self._entries.append(_Entry(record, transaction))
        if transaction is not None and self not in transaction.logs:
            transaction.logs.append(self)
        return offset

    def mark_end(self) -> None:
        """Write the marker of a transaction's end."""
        self._entries.append(_Entry(None, None))

    def damage(self, offset: int) -> None:
        """Make the record at `offset` impossible to decode."""
        self._damaged.add(offset)

    def trim(self, offset: int) -> None:
        """Delete everything before `offset`, as retention does."""
        self._first = offset

    @property
    def first(self) -> int:
        """The first offset that is still there."""
        return self._first

    @property
    def ends(self) -> Ends:
        """Where a read_committed reader stops, and the true end."""
        stable = next(
            (
                offset
                for offset, entry in enumerate(self._entries)
                if entry.transaction is not None and entry.transaction.fate is Fate.OPEN
            ),
            len(self._entries),
        )
        return Ends(stable, len(self._entries))

    def read(self, offset: int, records_max: int) -> tuple[list[Record], int]:
        """Read committed records from `offset`; give them and where to read on.

        Raises:
            OffsetOutOfRange: `offset` has been deleted, or was never written.
            Undecodable: the very next record is damaged.
        """
        ends = self.ends
        if not self._first <= offset <= ends.high:
            raise OffsetOutOfRange(self.partition, offset, self._first, ends.high)
        records: list[Record] = []
        while offset < ends.stable and len(records) < records_max:
            if offset in self._damaged:
                if records:
                    break
                raise Undecodable(self.partition, offset, f"damaged at offset {offset}")
            entry = self._entries[offset]
            if entry.record is not None and _is_committed(entry):
                # Read again it is another object: the ledger tells epochs apart by that.
                records.append(copy(entry.record))
            offset += 1
        while offset < ends.stable and not self._holds_record(offset):
            offset += 1
        return records, offset

    def records(self) -> Iterator[tuple[Record, bool]]:
        """Give every record, and whether a read_committed reader sees it."""
        for offset, entry in enumerate(self._entries):
            if entry.record is not None and offset >= self._first:
                yield entry.record, _is_committed(entry)

    def _holds_record(self, offset: int) -> bool:
        entry = self._entries[offset]
        return offset in self._damaged or (entry.record is not None and _is_committed(entry))


def _is_committed(entry: _Entry) -> bool:
    return entry.transaction is None or entry.transaction.fate is Fate.COMMITTED
