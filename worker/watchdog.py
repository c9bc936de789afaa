"""End the process with a last word when a call has not come back that should have, long ago.

Every call to Kafka has a bound of its own, which the adapter keeps in place of a client that waits
for ever. This is for the day on which it does not: a worker that hangs holds its partitions, and
a dead one does not.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

# A call that is late by so much, on a busy machine and all, does not come back any more.
GRACE_S: Final = 5.0
LOOK_EVERY_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Call:
    name: str
    timeout_s: float
    began_s: float


class Watchdog:
    """Watches calls of any thread from a thread of its own, until it is closed.

    It counts the time that it has lived through itself: a process that was stopped (SIGSTOP, a
    frozen container) has waited for nobody, and is left alone.
    """

    def __init__(
        self,
        end: Callable[[str], None],
        grace_s: float = GRACE_S,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        """Watch; `end` gets the last word, and ends the process."""
        self._end = end
        self._grace_s = grace_s
        self._look_every_s = look_every_s
        self._lived_s = 0.0
        self._looked_s = time.monotonic()
        self._calls: dict[object, _Call] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def begin(self, name: str, timeout_s: float) -> object:
        """Watch from now on what should be over in `timeout_s`; give the token to end that."""
        token = object()
        self._calls[token] = _Call(name, timeout_s, self._lived_s)
        return token

    def over(self, token: object) -> None:
        """Watch it no longer."""
        self._calls.pop(token, None)

    @contextmanager
    def bounding(self, name: str, timeout_s: float) -> Iterator[None]:
        """Watch what is done inside."""
        token = self.begin(name, timeout_s)
        try:
            yield
        finally:
            self.over(token)

    def close(self) -> None:
        """Watch nothing any more."""
        self._closed.set()
        self._thread.join()

    def look(self, now_s: float) -> None:
        """End the process if a call is overdue; of a long time between two looks little counts."""
        self._lived_s += min(now_s - self._looked_s, 2 * self._look_every_s)
        self._looked_s = now_s
        for call in tuple(self._calls.values()):
            waited_s = self._lived_s - call.began_s
            if waited_s > call.timeout_s + self._grace_s:
                self._end(
                    f"{call.name} has not come back for {waited_s:.1f} s and should have within "
                    f"{call.timeout_s:g} s, ended; what was not committed is done again by the "
                    "next owner of its partitions"
                )

    def _watch(self) -> None:
        while not self._closed.wait(self._look_every_s):
            self.look(time.monotonic())
