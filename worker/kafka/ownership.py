"""What the group gave and took between two polls, as the consumer's listener hears it."""

from collections.abc import Collection, Iterable

from kafka import ConsumerRebalanceListener

from worker.messages import Partition


class Ownership(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types.
    """Sets flags and nothing else: kafka-python calls it on its IO thread.

    It does so only while `poll` (or `close`) of the consumer is running and the polling thread
    waits for it. So what the polling thread takes after a poll is complete, and a membership that
    is read then never runs ahead of the partitions that went with its generation.
    """

    def __init__(self) -> None:
        self.owned: set[Partition] = set()
        self._gained: set[Partition] = set()
        self._revoked: set[Partition] = set()
        self._lost: set[Partition] = set()

    def on_partitions_assigned(self, assigned: Iterable[tuple[str, int]]) -> None:
        """Partitions came, beside those that stayed."""
        gained = {Partition(*partition) for partition in assigned}
        self.owned |= gained
        self._gained |= gained

    def on_partitions_revoked(self, revoked: Iterable[tuple[str, int]]) -> None:
        """Partitions went, and the group waits for us."""
        self._take_away(revoked, self._revoked)

    def on_partitions_lost(self, lost: Iterable[tuple[str, int]]) -> None:
        """Partitions went long ago: others may work on them already."""
        self._take_away(lost, self._lost)

    def _take_away(self, partitions: Iterable[tuple[str, int]], gone: set[Partition]) -> None:
        taken = {Partition(*partition) for partition in partitions}
        self.owned -= taken
        # What came and went between two polls was never seen; what went, came and went is gone.
        gone |= taken - self._gained
        self._gained -= taken

    def take(self) -> tuple[Collection[Partition], Collection[Partition], Collection[Partition]]:
        """Give what was gained, revoked and lost since the last time."""
        changes = self._gained, self._revoked, self._lost
        self._gained, self._revoked, self._lost = set(), set(), set()
        return changes
