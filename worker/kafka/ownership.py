"""What the group gave and took between two polls, net of what came and went unseen."""

from collections.abc import Collection

from worker.messages import Partition


class Ownership:
    """Collects changes until somebody takes them."""

    def __init__(self) -> None:
        self.owned: frozenset[Partition] = frozenset()
        self._gained: set[Partition] = set()
        self._revoked: set[Partition] = set()
        self._lost: set[Partition] = set()

    def gain(self, partitions: Collection[Partition]) -> None:
        """Partitions came, beside those that stayed."""
        self.owned |= set(partitions)
        self._gained |= set(partitions)

    def revoke(self, partitions: Collection[Partition]) -> None:
        """Partitions went, and the group waits for us."""
        self._take_away(set(partitions), self._revoked)

    def lose(self, partitions: Collection[Partition]) -> None:
        """Partitions went long ago: others may work on them already."""
        self._take_away(set(partitions), self._lost)

    def take(self) -> tuple[Collection[Partition], Collection[Partition], Collection[Partition]]:
        """Give what was gained, revoked and lost since the last time."""
        changes = self._gained, self._revoked, self._lost
        self._gained, self._revoked, self._lost = set(), set(), set()
        return changes

    def _take_away(self, taken: set[Partition], gone: set[Partition]) -> None:
        self.owned -= taken
        # What came and went between two polls was never seen; what went, came and went is gone.
        gone |= taken - self._gained
        self._gained -= taken
