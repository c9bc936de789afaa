"""Partitions that cannot be read on: each stops with a word, and the others go on.

What was deleted unread may be left out, where the operator has said so.
"""

import structlog

from worker.errors import OffsetOutOfRange, Undecodable
from worker.kafka.broker import Broker
from worker.messages import Partition
from worker.metrics import Metrics
from worker.settings import WorkerSettings


class Halts:
    """Belongs to the poll thread. The broker has stopped a partition when it raises for it."""

    def __init__(self, broker: Broker, settings: WorkerSettings, metrics: Metrics) -> None:
        self._broker = broker
        self._skips = settings.on_deleted_unread == "skip"
        self._metrics = metrics
        self._halted: set[Partition] = set()
        self._log = structlog.get_logger()

    def note(self, error: Undecodable | OffsetOutOfRange) -> None:
        """Leave it stopped, and say so; nothing good is skipped in silence, and nothing lost."""
        if self._skips and isinstance(error, OffsetOutOfRange) and error.deleted:
            self._skip(error.partition, error.offset, error.deleted)
            return
        self._halted.add(error.partition)
        self._metrics.stopped(error.partition)
        self._log.error("partition stopped", why=str(error))

    def forget(self, partition: Partition) -> None:
        """Leave it to its next owner."""
        self._halted.discard(partition)

    @property
    def trouble(self) -> str:
        """Name those that are stopped; nothing when none is."""
        if not self._halted:
            return ""
        names = ", ".join(f"{p.topic}/{p.number}" for p in sorted(self._halted))
        return f"stopped, see the log: {names}"

    def _skip(self, partition: Partition, offset: int, records: int) -> None:
        self._broker.seek(partition, offset + records)
        self._metrics.deleted_unread(records)
        self._log.error(
            "records were deleted before they were read, and are left out (on_deleted_unread)",
            topic=partition.topic,
            partition=partition.number,
            first=offset,
            last=offset + records - 1,
        )
