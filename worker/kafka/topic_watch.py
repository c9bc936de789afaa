"""Notice that the topic has grown, was made anew, or is gone."""

import time
from typing import Any, Final
from uuid import UUID

from worker.errors import TopicMadeAnew, UnknownTopic

# A broker that has just started may not know its topics yet.
GONE_S: Final = 5.0
_NO_ID: Final = UUID(int=0)


class TopicWatch:
    """Looks at what kafka-python knows of the topic, which is as old as its metadata may be.

    `cluster` and `coordinator` are those of the consumer of this process; its version is pinned.
    """

    def __init__(self, cluster: Any, coordinator: Any, topic: str) -> None:
        self._cluster = cluster
        self._coordinator = coordinator
        self._topic = topic
        self._id: UUID | None = None
        self._partitions: frozenset[int] = frozenset()
        self._gone_since_s: float | None = None

    @property
    def id(self) -> UUID | None:
        """The id of the topic that is read; None while nobody has told it."""
        return self._id

    def look(self) -> None:
        """Join anew where partitions came, so that the group shares them out.

        Its leader does so by itself, but one that took its dead self's place does not know that
        it leads. To the others' joining the group's coordinator answers that nothing is new.

        Raises:
            TopicMadeAnew: what was read so far was of another topic of this name.
            UnknownTopic: the topic is gone, for seconds already.
        """
        self.demand_the_same()
        partitions = frozenset(self._cluster.partitions_for_topic(self._topic) or ())
        self._demand_any(partitions)
        if self._partitions and partitions - self._partitions:
            self._coordinator.request_rejoin()
        self._partitions = partitions or self._partitions

    def demand_the_same(self) -> None:
        """Take the topic's id at first; TopicMadeAnew when it is another one later."""
        known = self._cluster.topic_id(self._topic)
        if known is None or known == _NO_ID:
            return
        self._id = self._id or known
        if known != self._id:
            raise TopicMadeAnew(self._topic)

    def _demand_any(self, partitions: frozenset[int]) -> None:
        if partitions:
            self._gone_since_s = None
            return
        now_s = time.monotonic()
        self._gone_since_s = self._gone_since_s or now_s
        if now_s - self._gone_since_s > GONE_S:
            raise UnknownTopic(self._topic)
