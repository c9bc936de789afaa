"""Turn signals into an order to stop, and see that it is followed.

The first signal, or the parent's end, asks the worker to finish; a second one ends it at once,
and so does the watchdog when finishing takes too long. Signals are read by a thread of their own,
so that they are heeded whatever the main thread hangs in.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from worker.exit_codes import FAILED

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE_S: Final = 5.0
"""How long past its own stop timeout a worker may take, until the watchdog ends it."""


def end_at_once(last_word: str, code: int = FAILED) -> None:
    """Leave without finishing anything; the broker aborts what is open."""
    os.write(sys.stderr.fileno(), f"tuwen worker: {last_word}\n".encode())
    os._exit(code)


class Stopping:
    """The order to stop, given once. `event` is what the work looks at."""

    def __init__(self, timeout_s: float, end: Callable[[str], None] = end_at_once) -> None:
        self.event = threading.Event()
        self._patience_s = timeout_s + GRACE_S
        self._end = end
        self._watchdog = threading.Timer(self._patience_s, self._lose_patience)
        self._watchdog.daemon = True

    def request(self) -> None:
        """Ask to stop, and watch that it happens. Called by one thread at a time, or again."""
        if not self.event.is_set():
            self.event.set()
            self._watchdog.start()

    def signalled(self) -> None:
        """Heed a signal: the second one ends at once."""
        if self.event.is_set():
            self._end("told twice to stop, ended at once; what was not committed is done again")
        self.request()

    def done(self) -> None:
        """Call the watchdog off: the work has stopped."""
        self._watchdog.cancel()

    def _lose_patience(self) -> None:
        self._end(
            f"did not stop within {self._patience_s:g} s, ended; what was not committed is done "
            "again by the next owner of its partitions"
        )


@contextmanager
def heeding_signals(stopping: Stopping) -> Iterator[None]:
    """Let signals stop the work inside. To be entered by the main thread."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, _left_to_the_reader) for number in SIGNALS}
    # The interpreter writes each signal's number here, from C, as it arrives.
    wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    heeding = threading.Thread(target=_heed, args=(reader, stopping), name="signals", daemon=True)
    heeding.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()
        heeding.join()
        reader.close()


def _left_to_the_reader(_number: int, _frame: object) -> None:
    """Be a handler, so that the interpreter takes note of the signal at all."""


def _heed(reader: socket.socket, stopping: Stopping) -> None:
    while number := reader.recv(1):
        if number[0] in SIGNALS:
            stopping.signalled()
