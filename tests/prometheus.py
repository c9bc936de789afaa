"""A real Prometheus for tests: scrapes what it is told to, and evaluates expressions."""

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.services import missing_service

READY_TIMEOUT_S = 20.0
CONFIGURATION = """\
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
scrape_configs:
  - job_name: tests
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
"""


@dataclass
class Prometheus:
    """A running Prometheus; `scrape` adds targets while it runs."""

    url: str
    folder: Path
    targets: dict[str, dict[str, str]] = field(default_factory=dict)

    def scrape(self, address: str, **labels: str) -> None:
        """Scrape `host:port` from now on, each second, and give its series these labels."""
        self.targets[address] = labels
        self._publish()

    def forget(self, address: str) -> None:
        """Scrape `host:port` no more."""
        self.targets.pop(address, None)
        self._publish()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now; a list of samples, each with `metric` and `value`."""
        question = urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query?{question}", timeout=10) as page:
                answer = json.load(page)
        except urllib.error.HTTPError as refusal:
            raise ValueError(f"{expression}: {refusal.read().decode()}") from refusal
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def await_samples(self, expression: str, timeout_s: float = 20.0) -> list[dict[str, Any]]:
        """Evaluate until there is a sample, and give all samples."""
        deadline = time.monotonic() + timeout_s
        while not (samples := self.query(expression)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no sample of {expression} within {timeout_s:.0f} s")
            time.sleep(0.2)
        return samples

    def _publish(self) -> None:
        groups = [{"targets": [a], "labels": labels} for a, labels in self.targets.items()]
        draft = self.folder / "targets.draft"
        draft.write_text(json.dumps(groups), encoding="utf-8")
        draft.replace(self.folder / "targets.json")


@contextlib.contextmanager
def running_prometheus(folder: Path) -> Iterator[Prometheus]:
    """Start Debian's Prometheus in a folder, and end it afterwards."""
    binary = shutil.which("prometheus")
    if binary is None:
        missing_service("Prometheus", "apt-get install prometheus")
    (folder / "prometheus.yml").write_text(CONFIGURATION, encoding="utf-8")
    (folder / "targets.json").write_text("[]", encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=series"]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(
            [binary, *options, f"--web.listen-address={address}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            _await_ready(f"http://{address}", process, folder)
            yield Prometheus(f"http://{address}", folder)
        finally:
            process.terminate()
            process.wait(timeout=20)


def _await_ready(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError((folder / "prometheus.log").read_text(encoding="utf-8")[-2000:])
