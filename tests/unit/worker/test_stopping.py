import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from worker import stopping
from worker.stopping import Stopping, heeding_signals

STUCK = """
import ctypes
from worker.stopping import Stopping, heeding_signals
with heeding_signals(Stopping(60)):
    print("up", flush=True)
    while True:
        ctypes.CDLL(None).sleep(60)
"""


def test_a_signal_asks_to_stop() -> None:
    """SIGTERM sets the event, and the handlers of before come back."""
    before = signal.getsignal(signal.SIGTERM)
    order = Stopping(60)
    with heeding_signals(order):
        os.kill(os.getpid(), signal.SIGTERM)
        assert order.event.wait(5)
    order.done()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_signal_ends_at_once() -> None:
    """Whoever signals twice does not want to wait."""
    words: list[str] = []
    ended = threading.Event()

    def end(word: str) -> None:
        words.append(word)
        ended.set()

    order = Stopping(60, end)
    with heeding_signals(order):
        os.kill(os.getpid(), signal.SIGTERM)
        assert order.event.wait(5)
        assert words == []
        os.kill(os.getpid(), signal.SIGINT)
        assert ended.wait(5)
    order.done()
    assert "told twice" in words[0]


def test_the_parent_s_end_and_one_signal_are_no_second_signal() -> None:
    """Both happen when a parent is killed; the worker still finishes."""
    words: list[str] = []
    order = Stopping(60, words.append)
    order.request()
    order.request()
    order.done()
    assert (order.event.is_set(), words) == (True, [])


def test_the_watchdog_ends_what_does_not_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout and the grace, with a word on what happens next."""
    monkeypatch.setattr(stopping, "GRACE_S", 0.01)
    words: list[str] = []
    ended = threading.Event()

    def end(word: str) -> None:
        words.append(word)
        ended.set()

    Stopping(0.01, end).request()
    assert ended.wait(5)
    assert "did not stop within 0.02 s" in words[0]


def test_a_worker_that_stopped_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog is called off."""
    monkeypatch.setattr(stopping, "GRACE_S", 0.05)
    words: list[str] = []
    order = Stopping(0.05, words.append)
    order.request()
    order.done()
    order._watchdog.join(5)
    assert words == []


def test_signals_are_heeded_while_the_main_thread_hangs() -> None:
    """A call into C that never returns keeps no operator from ending the process."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", STUCK],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        deadline_s = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < deadline_s:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
    finally:
        process.kill()
        _, said = process.communicate()
    assert (process.returncode, "told twice to stop" in said) == (1, True)
