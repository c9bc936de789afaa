"""A worker as an operator starts it: the command, with flags, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from prometheus_client.parser import text_string_to_metric_families

READY_S = 30.0
STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Topics:
    """The three topics of a deployment."""

    posts: str
    verdicts: str
    dead_letters: str


@dataclass(slots=True)
class RunningWorker:
    """A parent with one worker, its log in a file."""

    servers: str
    topics: Topics
    flags: Sequence[str]
    command: "subprocess.Popen[bytes]"
    log: Path
    metrics_port: int = field(default=0)

    def processes(self) -> dict[int, float]:
        """Parent and workers, without their decoders: process ids with their start times."""
        parent = psutil.Process(self.command.pid)
        return {process.pid: process.create_time() for process in [parent, *parent.children()]}

    def check(self) -> None:
        """Fail, with the log, when the worker has ended."""
        assert self.command.poll() is None, self.log.read_text(encoding="utf-8")

    def page(self, path: str) -> str:
        """Ask one of its pages."""
        url = f"http://127.0.0.1:{self.metrics_port}/{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of one metric that carry these labels."""
        families = text_string_to_metric_families(self.page("metrics"))
        samples = [sample for family in families for sample in family.samples]
        named = [sample for sample in samples if sample.name == name]
        assert named, f"no metric {name}"
        return sum(s.value for s in named if labels.items() <= s.labels.items())

    def wait_ready(self) -> None:
        """Wait until it is a member of its group and says so."""
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            self.check()
            try:
                self.page("readyz")
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)  # nothing to wait on: another process's page
            else:
                return
        raise AssertionError("not ready in time: " + self.log.read_text(encoding="utf-8"))

    def stop(self) -> int:
        """End it as a supervisor does, and give its exit code."""
        if self.command.poll() is None:
            self.command.send_signal(signal.SIGTERM)
        try:
            return self.command.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.command.kill()
            return self.command.wait()


@contextmanager
def running_worker(
    servers: str, topics: Topics, bundle: Path, folder: Path, flags: Sequence[str] = ()
) -> Iterator[RunningWorker]:
    """Start a worker in a group of its own, wait until it is ready, and end it after all."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "worker.log"
    command = [sys.executable, "-P", "-m", "tuwen", "worker"]
    command += ["--bundle", str(bundle), "--bootstrap-servers", servers, "--group", topics.posts]
    command += ["--posts-topic", topics.posts, "--verdicts-topic", topics.verdicts]
    command += ["--dead-letters-topic", topics.dead_letters, "--metrics-port", str(port), *flags]
    with log.open("wb") as sink:
        started = subprocess.Popen(
            command, cwd=folder, env=os.environ.copy(), stdout=sink, stderr=sink
        )
    worker = RunningWorker(servers, topics, flags, started, log, port)
    try:
        worker.wait_ready()
        yield worker
    finally:
        worker.stop()
