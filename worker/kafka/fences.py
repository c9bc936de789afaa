"""Tell a slot that another process has taken from one whose transaction merely timed out."""

from worker.errors import SlotTaken


def taken(slot_id: str, doing: str) -> SlotTaken:
    """Say that another process runs under the same id, if that is known here, and what to do."""
    name = repr(slot_id) if slot_id else "this slot's id"
    return SlotTaken(
        f"slot taken: another process runs as {name}, too (seen while {doing}): stop one of "
        "the two, and see that each machine and container has an instance (TUWEN_INSTANCE) of "
        "its own"
    )


class Fences:
    """Counts how often in a row a slot's producer was fenced.

    A broker that gave a transaction up fences its producer just as another process does that has
    the same transactional id. So a first fence is met with a new producer, which fences whoever
    came between. When that one is fenced in its turn, before it has committed anything and sooner
    than a transaction times out, somebody else is alive and does the same.
    """

    def __init__(self, slot_id: str) -> None:
        self._slot_id = slot_id
        self._unexplained = 0

    def another(self, *, explained: bool) -> None:
        """Note a fence; `explained`, when the transaction was old enough to be given up.

        Raises:
            SlotTaken: it is the second in a row that nothing else explains.
        """
        self._unexplained += not explained
        if self._unexplained > 1:
            raise taken(self._slot_id, "writing")

    def none(self) -> None:
        """Note a transaction that was committed: nobody fenced it."""
        self._unexplained = 0
