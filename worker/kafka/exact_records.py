"""Fetched bytes to `Record`s inside kafka-python's fetcher, stopping where bytes make no sense.

The fetcher keeps the positions, skips aborted transactions and markers, and asks for more; only
what turns a batch into records is ours.
"""

import itertools
import struct
from collections.abc import Iterator
from typing import Any, Final

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel

from worker.errors import Undecodable
from worker.kafka.record_batches import read
from worker.messages import Partition, Record

_MAGIC: Final = 2


class ExactRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types.
    """The records of one partition of one fetch.

    kafka-python's own, after a bad batch, gives nothing and raises nothing, and its fetcher then
    spins. This one raises `Undecodable` as often as it is asked.
    """

    broken: Undecodable | None = None

    def take(self, n: int | None = None) -> list[Record]:
        """Give up to `n` records; Undecodable once there are none before the bad bytes."""
        records = list(itertools.islice(self.record_iterator, 0, n))
        if not records and self.broken is not None:
            raise self.broken
        return records

    def _unpack_records(self, tp: Any, records: Any, *_deserializers: Any) -> Iterator[Record]:
        partition = Partition(tp.topic, tp.partition)
        while (batch := self._next_batch(partition, records)) is not None:
            self.leader_epoch = batch.leader_epoch
            if not self._skips(batch):
                good, trouble = read(batch, partition)
                for record in good:
                    self.records_read += 1
                    self.next_fetch_offset = record.offset + 1
                    yield record
                if trouble is not None:
                    bad = good[-1].offset + 1 if good else batch.base_offset
                    self._break(partition, max(bad, self.fetch_offset), trouble)
                    return
            # Compaction and markers leave gaps: the batch says where the next one begins.
            self.next_fetch_offset = batch.next_offset
        if self.broken is None:
            self.drain()

    def _next_batch(self, partition: Partition, records: Any) -> Any:
        """Give the next batch whose frame is sound, None at the end or when it is not."""
        try:
            batch = records.next_batch()
        except (CorruptRecordError, struct.error) as error:
            return self._break(partition, self.next_fetch_offset, str(error))
        if batch is None:
            return None
        if batch.magic < _MAGIC:
            return self._break(partition, batch.base_offset, "it is older than Kafka 0.11 writes")
        if not batch.validate_crc():
            return self._break(partition, batch.base_offset, "its checksum does not fit")
        return batch

    def _skips(self, batch: Any) -> bool:
        """Leave out aborted batches and transaction markers."""
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)

    def _break(self, partition: Partition, offset: int, trouble: str) -> None:
        self.broken = Undecodable(
            partition,
            offset,
            f"{partition.topic}/{partition.number} cannot be read from offset {offset} on: "
            f"{trouble}; the partition stops there, the others go on",
        )
