"""A failpoint: the worker's process kills itself at one named place, the so many-th time it comes.

    TUWEN_CHAOS_FAILPOINT="before commit 3"

A place is before or after a call of the broker's seam; `connect` is the start, `gained` and
`revoked` are polls that brought such a change.
"""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from tests.intercepted_broker import InterceptedBroker
from worker.errors import TransactionAborted
from worker.kafka.broker import Broker, Polled

Given = TypeVar("Given")

VARIABLE: Final = "TUWEN_CHAOS_FAILPOINT"
OF_COMMIT: Final = tuple(
    f"{when} {call}"
    for call in ("begin", "send", "settle", "offsets", "commit", "abort", "committed")
    for when in ("before", "after")
)
OF_START: Final = ("before connect", "after connect", "before poll")
OF_REBALANCE: Final = ("after gained", "after revoked")
OF_CLOSE: Final = ("before close", "after close")
PLACES: Final = (*OF_COMMIT, *OF_START, *OF_REBALANCE, *OF_CLOSE)


def armed(connect: Callable[[], Broker], environment: Mapping[str, str]) -> Broker:
    """Connect, and have the process die where the environment says, if it says anything."""
    told = environment.get(VARIABLE)
    if told is None:
        return connect()
    place, _, times = told.rpartition(" ")
    failpoint = Failpoint(place, int(times))
    return InterceptedBroker(failpoint.around("connect", connect), failpoint)


class Failpoint:
    """Ends the process at a place."""

    def __init__(
        self,
        place: str,
        times: int,
        end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        if place not in PLACES:
            raise ValueError(f"no place {place!r}: there are {', '.join(PLACES)}")
        self._place = place
        self._left = times
        self._end = end

    def around(self, call: str, work: Callable[[], Given]) -> Given:
        """Come to a call, and perhaps no further; an abort is brought about where one is wanted."""
        self._come_to(f"before {call}")
        if call == "settle" and self._place.endswith("abort"):
            raise TransactionAborted("brought about, to come to an abort")
        given = work()
        self._come_to(f"after {call}")
        if isinstance(given, Polled):
            self._note_changes(given)
        return given

    def _note_changes(self, polled: Polled) -> None:
        if polled.gained:
            self._come_to("after gained")
        if polled.revoked or polled.lost:
            self._come_to("after revoked")

    def _come_to(self, place: str) -> None:
        if place == self._place:
            self._left -= 1
            if not self._left:
                self._end()
