"""Each service's command and environment, as the compose file gives them, on a real Kafka.

No container engine is needed: host names and paths of the containers are replaced by this
machine's, and nothing else is.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.deployment import DASHBOARD, ROOT, replaced, service, words
from tests.prometheus import Prometheus
from tests.services import missing_service
from tests.tiny_bundle import write_tiny_bundle
from tuwen import java, kafka_broker, kafka_jars
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing

pytestmark = pytest.mark.kafka

POSTS = 40
READY_S = 30.0


@dataclass
class Compose:
    """The services of tuwen's own image, run as programs of this machine."""

    demo: Path
    bootstrap_servers: str
    metrics_port: int

    @property
    def replacements(self) -> dict[str, str]:
        """This machine's names, by the containers'."""
        return {
            "kafka:19092": self.bootstrap_servers,
            "/demo": str(self.demo),
            "9464": str(self.metrics_port),
            "0.0.0.0": "127.0.0.1",
        }

    def arguments(self, name: str) -> list[str]:
        """Give a service's command."""
        return [replaced(word, self.replacements) for word in words(service(name)["command"])]

    def environment(self, name: str) -> dict[str, str]:
        """Give a service's environment, and nothing of this process's that could stand in."""
        given = service(name)["environment"].items()
        kept = {key: os.environ[key] for key in ("HOME", "PATH", "LANG") if key in os.environ}
        return kept | {key: replaced(value, self.replacements) for key, value in given}

    def run(self, name: str) -> "subprocess.CompletedProcess[str]":
        """Run a service that ends by itself."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "tuwen", *self.arguments(name)],
            env=self.environment(name),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    @contextmanager
    def running(self, name: str) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a service until the block ends, and end it as Docker does."""
        with subprocess.Popen(
            [sys.executable, "-P", "-m", "tuwen", *self.arguments(name)],
            env=self.environment(name),
        ) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=15)

    def check_health(self, name: str) -> bool:
        """Run a service's health check once."""
        _, *command = service(name)["healthcheck"]["test"]
        asked = [replaced(word, self.replacements) for word in command]
        done = subprocess.run(
            [sys.executable, *asked[1:]], capture_output=True, timeout=20, check=False
        )
        return done.returncode == 0

    def scrape(self) -> str:
        """Give the worker's metrics; empty while it does not serve them yet."""
        try:
            url = f"http://127.0.0.1:{self.metrics_port}/metrics"
            with urllib.request.urlopen(url, timeout=5) as page:
                content: bytes = page.read()
        except (urllib.error.URLError, OSError):
            return ""
        return content.decode()

    def posts_done(self) -> int:
        """Count the posts that came to an end."""
        done = re.findall(r"^tuwen_posts_total\{.*\} ([0-9.e+]+)$", self.scrape(), re.MULTILINE)
        return int(sum(map(float, done)))


def until(condition: Any, timeout_s: float = READY_S) -> bool:
    """Wait until a condition holds; False when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """What `make demo` leaves, small: a bundle and a corpus."""
    write_tiny_bundle(tmp_path / "bundle")
    (tmp_path / "corpus" / "images").mkdir(parents=True)
    Image.new("RGB", (16, 16), "white").save(tmp_path / "corpus" / "images" / "white.jpg")
    rows = [
        {
            "id": f"post-{number}",
            "text": "房间很好" if number % 4 else None,
            "image": "images/white.jpg" if number % 3 else None,
            "label": 0,
        }
        for number in range(1, POSTS + 1)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows if row["text"] or row["image"])
    (tmp_path / "corpus" / "test.jsonl").write_text(lines, encoding="utf-8")
    return tmp_path


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka started with the settings that the compose file gives its own."""
    try:
        jars = kafka_jars.fetch()
        program = java.find()
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))
    folder = tmp_path_factory.mktemp("compose-kafka")
    inside, outside, controller = (kafka_broker.free_port() for _ in range(3))
    replacements = {
        "INSIDE://:19092": f"INSIDE://127.0.0.1:{inside}",
        "OUTSIDE://:9092": f"OUTSIDE://127.0.0.1:{outside}",
        "CONTROLLER://:9093": f"CONTROLLER://127.0.0.1:{controller}",
        "kafka:19092": f"127.0.0.1:{inside}",
        "127.0.0.1:9092": f"127.0.0.1:{outside}",
        "kafka:9093": f"127.0.0.1:{controller}",
        "/var/lib/kafka/data": str(folder / "log"),
    }
    settings = service("kafka")["environment"].items()
    # As the image does it: KAFKA_LOG_DIRS is log.dirs.
    lines = [
        f"{name.removeprefix('KAFKA_').lower().replace('_', '.')}={replaced(value, replacements)}\n"
        for name, value in settings
    ]
    (folder / "server.properties").write_text("".join(lines), encoding="utf-8")
    command = [str(program), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    command += ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", ":".join(map(str, jars))]
    formatting = ["kafka.tools.StorageTool", "format", "-t", "dHV3ZW4tbG9jYWwta2Fma2E"]
    subprocess.run(
        [*command, *formatting, "-c", "server.properties"],
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=True,
    )
    with (
        (folder / "broker.log").open("wb") as log,
        subprocess.Popen(
            [*command, "kafka.Kafka", "server.properties"], cwd=folder, stdout=log, stderr=log
        ) as process,
    ):
        try:
            assert until(lambda: kafka_broker.answers(inside)), (folder / "broker.log").read_text()
            assert kafka_broker.answers(outside)
            yield f"127.0.0.1:{inside}"
        finally:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture
def system(demo: Path, broker: str) -> Compose:
    """The services, none of them running."""
    return Compose(demo, broker, kafka_broker.free_port())


def expressions() -> list[tuple[str, str]]:
    """Give each expression of the dashboard, with its panel's title."""
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


@pytest.mark.prometheus
def test_the_services_run_as_composed_and_the_dashboard_shows_them(
    system: Compose, prometheus: Prometheus
) -> None:
    """Topics, worker, its health check and producer run; no panel of the dashboard is empty."""
    assert "tuwen.posts" in system.run("topics").stdout
    with system.running("worker"):
        assert until(lambda: system.check_health("worker"))
        address = f"127.0.0.1:{system.metrics_port}"
        prometheus.scrape(address)
        # A counter's first value is no increase: everything is counted once before it grows.
        system.run("producer")
        reject(system)
        sent = len((system.demo / "corpus" / "test.jsonl").read_text().splitlines())
        assert until(lambda: system.posts_done() == sent + 1)
        prometheus.await_samples(f"sum(tuwen_posts_total) >= {sent + 1}")
        system.run("producer")
        reject(system)
        assert until(lambda: system.posts_done() == 2 * (sent + 1))
        prometheus.await_samples(f"sum(tuwen_posts_total) >= {2 * (sent + 1)}")
        empty = [title for title, expression in expressions() if not shown(prometheus, expression)]
        prometheus.forget(address)
    assert empty == []


def shown(prometheus: Prometheus, expression: str) -> list[dict[str, Any]]:
    """Evaluate what Grafana would, and keep what is a number."""
    samples = prometheus.query(expression.replace("$__rate_interval", "30s"))
    return [sample for sample in samples if sample["value"][1] != "NaN"]


def reject(system: Compose) -> None:
    """Send a record that is no post."""
    subprocess.run(
        [sys.executable, "-P", "-m", "tuwen", "send", "-", "--as-is"],
        input=b"{broken\n",
        env=system.environment("producer"),
        capture_output=True,
        timeout=60,
        check=True,
    )


@pytest.mark.prometheus
def test_prometheus_reads_its_configuration() -> None:
    """The file that the compose file mounts is valid."""
    promtool = shutil.which("promtool")
    if promtool is None:
        missing_service("promtool", "apt-get install prometheus")
    path = ROOT / "dashboards" / "prometheus.yml"
    checked = subprocess.run(
        [promtool, "check", "config", path], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
