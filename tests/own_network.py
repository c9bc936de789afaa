"""A network of a test's own, in which this machine has every address there is."""

import ctypes
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from tests.services import missing_service

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_COMMANDS = (
    ("ip", "link", "set", "lo", "up"),
    ("ip", "-4", "route", "add", "local", "default", "dev", "lo"),
    ("ip", "-6", "route", "add", "local", "default", "dev", "lo"),
)


def in_own_network(work: Callable[[], T]) -> T:
    """Call `work` in a thread that has left the machine's network, with all threads it starts.

    There a server on 0.0.0.0 or :: is reached by whatever address is dialled, and nothing leaves
    the machine. The network ends with its last thread. Needs Linux, root, and iproute2.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def apart() -> None:
        try:
            _leave()
            results.append(work())
        except BaseException as failure:  # noqa: BLE001 - raised again by who waits.
            failures.append(failure)

    thread = threading.Thread(target=apart)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _leave() -> None:
    if sys.platform != "linux" or ctypes.CDLL(None).unshare(_CLONE_NEWNET) != 0:
        missing_service("a network of the test's own", "run it on Linux, as root")
    try:
        for command in _COMMANDS:
            subprocess.run(command, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        missing_service("ip", "apt-get install iproute2")
