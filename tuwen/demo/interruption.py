"""Ctrl-C, SIGTERM and SIGHUP end the demo in order; a second one ends it at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked the demo to stop; no fault, so that only the demo itself catches it."""


@contextmanager
def interruptible(kill_all: Callable[[], None]) -> Iterator[None]:
    """Raise `Interrupted` at the first signal; at the second `kill_all`, and end at once."""
    seen: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        if len(seen) > 1:
            kill_all()
            os._exit(1)
        raise Interrupted

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
