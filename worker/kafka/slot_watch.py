"""Notice by heartbeats that another process has taken this member's place in the group.

kafka-python keeps that to itself: it ends the heartbeats and goes on giving records, none of
which could be committed.
"""

from typing import Any

import kafka.errors as client

from worker.kafka.fences import taken


class SlotWatch:
    """Listens to the heartbeats of a member; `coordinator` is kafka-python's, of this process."""

    def __init__(self, coordinator: Any, slot_id: str) -> None:
        self._coordinator = coordinator
        self._slot_id = slot_id
        self._fenced: str | None = None
        # kafka-python tells nobody; its version is pinned.
        self._heard = coordinator._handle_heartbeat_response  # noqa: SLF001
        coordinator._handle_heartbeat_response = self._hear  # noqa: SLF001

    @property
    def member_id(self) -> str:
        """The id that the group gave; empty outside of it."""
        return str(self._coordinator._generation.member_id)  # noqa: SLF001

    def demand(self) -> None:
        """Raise SlotTaken for a fence that hit the member that this is now, and no earlier one."""
        if self._fenced and self._fenced == self.member_id:
            raise taken(self._slot_id, "polling")

    def _hear(self, response: Any, send_time: float) -> None:
        """Hear an answer, on the IO thread."""
        try:
            self._heard(response, send_time)
        except client.FencedInstanceIdError:
            self._fenced = self.member_id
            raise
