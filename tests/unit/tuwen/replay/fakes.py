"""What a replay asks of the topics that posts came from, answered without a cluster."""

from dataclasses import dataclass, field

from worker.errors import UnknownTopic
from worker.messages import Partition, Record


@dataclass
class FakeSources:
    """Topics with their partitions, how long they keep, and the records that are still there."""

    counts: dict[str, int] = field(default_factory=lambda: {"posts": 2})
    kept_ms: int | None = None
    records: dict[tuple[Partition, int], Record] = field(default_factory=dict)

    def partitions(self, topic: str) -> int:
        """Count a topic's partitions."""
        if topic not in self.counts:
            raise UnknownTopic(topic)
        return self.counts[topic]

    def keeps_ms(self, topic: str) -> int | None:
        """How long a record may stay."""
        return self.kept_ms

    def record(self, partition: Partition, offset: int) -> Record | None:
        """A record that is still there."""
        return self.records.get((partition, offset))
