"""A worker as an operator starts it, and what the system says that its processes used."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

READY_S: Final = 60.0
STOP_S: Final = 15.0
TUWEN: Final = str(Path(sys.executable).with_name("tuwen"))


@dataclass(frozen=True, slots=True)
class WorkerUnderTest:
    """A running worker, the process tree of which is measured."""

    process: psutil.Process
    ready_s: float

    def cpu_s(self) -> float:
        """User and system time that the tree has used so far."""
        times = [one.cpu_times() for one in self._tree()]
        return float(sum(time.user + time.system for time in times))

    def rss_mb(self) -> float:
        """Resident memory of the largest process of the tree."""
        return max(one.memory_info().rss for one in self._tree()) / 2**20

    def _tree(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def running(flags: Sequence[str], port: int, log: Path) -> Iterator[WorkerUnderTest]:
    """Start `tuwen worker`, wait until it is ready, and end it."""
    command = [TUWEN, "worker", "--metrics-port", str(port), *flags]
    started_s = time.monotonic()
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stderr=sink, env=_environment(os.environ))
    try:
        yield WorkerUnderTest(psutil.Process(process.pid), _ready(process, port, started_s, log))
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """No settings but the flags."""
    return {name: value for name, value in variables.items() if not name.startswith("TUWEN_")}


def _ready(process: "subprocess.Popen[bytes]", port: int, started_s: float, log: Path) -> float:
    """Give the seconds from the start to a ready answer."""
    while time.monotonic() - started_s < READY_S:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return time.monotonic() - started_s
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.02)  # nothing to wait on: another process's page.
    raise RuntimeError("the worker did not get ready:\n" + log.read_text("utf-8"))
