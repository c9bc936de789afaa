"""Start the demo's workers, wait until they are ready, and kill one of them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tuwen.demo.layout import GROUP, DemoSettings, Layout
from tuwen.demo.running import Running
from tuwen.failures import Failed
from tuwen.process_identity import children

READY_TIMEOUT_S: Final = 30.0
POLL_S: Final = 0.1
HOST: Final = "127.0.0.1"
ASSIGNED: Final = "tuwen_partitions_assigned{"


@dataclass(frozen=True, slots=True)
class Workers:
    """The parent of the worker processes, and where its metrics are."""

    parent: "subprocess.Popen[bytes]"
    metrics_port: int

    @property
    def url(self) -> str:
        """Of its metrics."""
        return f"http://{HOST}:{self.metrics_port}/metrics"

    def processes(self) -> Sequence[int]:
        """The worker processes that run now, the oldest first."""
        return children(self.parent.pid)

    def ready(self) -> bool:
        """Whether all that there should be are there and work."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.metrics_port}/readyz", timeout=1):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> str:
        """Scrape once; empty when nobody answers."""
        try:
            with urllib.request.urlopen(self.url, timeout=2) as page:  # noqa: S310 - loopback
                content: bytes = page.read()
        except (urllib.error.URLError, OSError):
            return ""
        return content.decode()


def start(running: Running, layout: Layout, settings: DemoSettings, servers: str) -> Workers:
    """Start `tuwen worker` with settings of the demo's own, written where they can be read."""
    port = _free_port()
    values = worker_settings(layout, settings, servers, port)
    layout.settings.write_text(_toml(values), encoding="utf-8")
    command = [sys.executable, "-P", "-m", "tuwen", "worker", "--config", str(layout.settings)]
    # The user's own settings are not the demo's.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TUWEN_")}
    child = running.start("workers", command, layout.worker_log, environment)
    return Workers(child, port)


def worker_settings(
    layout: Layout, settings: DemoSettings, servers: str, port: int
) -> Mapping[str, str | int]:
    """Choose what differs from the defaults.

    The timeouts are the shortest that nest: the demo kills a worker, and nobody wants to wait
    15 s on screen for the group to notice.
    """
    return {
        "bundle": str(layout.bundle.absolute()),
        "bootstrap_servers": servers,
        "group": GROUP,
        "instance": "demo",
        "processes": settings.processes,
        "image_root": str(layout.root.absolute()),
        "metrics_port": port,
        "log_format": "json",
        "request_timeout_ms": 2_000,
        "delivery_timeout_ms": 3_000,
        "transaction_timeout_ms": 5_000,
        "session_timeout_ms": 6_000,
    }


def await_ready(workers: Workers, partitions: int, log: Path) -> None:
    """Wait until the workers are ready, and share out all partitions.

    Raises:
        Failed: they ended, or are not ready in time; it says what they said last.
    """
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not workers.ready() or assigned(workers.metrics()) < partitions:
        if workers.parent.poll() is not None:
            raise Failed(f"the workers ended at their start: {last_words(log)} (see {log})")
        if time.monotonic() > deadline:
            raise Failed(f"the workers were not ready within {READY_TIMEOUT_S:.0f} s: see {log}")
        time.sleep(POLL_S)


def kill_one(workers: Workers) -> int | None:
    """Kill -9 the oldest worker process, and give its number; None when there is none."""
    for pid in workers.processes():
        os.kill(pid, signal.SIGKILL)
        return pid
    return None


def assigned(metrics: str) -> int:
    """Count the partitions that all workers have, by their metrics."""
    lines = (line for line in metrics.splitlines() if line.startswith(ASSIGNED))
    return sum(int(float(line.rpartition(" ")[2])) for line in lines)


def last_words(log: Path) -> str:
    """Give the last line of a log."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "they said nothing"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _toml(values: Mapping[str, str | int]) -> str:
    # JSON's strings and numbers are TOML's too.
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
