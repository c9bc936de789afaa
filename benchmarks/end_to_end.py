"""CPU per post of a worker, Kafka to Kafka, exactly once; seconds to ready; memory.

    python -m benchmarks [--short] [--processes N] [--only text|images]

What else is said goes to the worker: `--batch-records-max 64`.

A Kafka of its own is started and ended. The posts of a warm-up come first; then all others at
once, and the CPU time of the worker's process tree between the two is divided by their number.
Machines differ, and one machine from minute to minute: so a yardstick is taken all the while, and
the figure is compared with its target at the speed of the machine that the target is set for.
"""

import argparse
import hashlib
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import real_size_bundle
from benchmarks.provenance import commit, machine
from benchmarks.real_size_bundle import texts, write_bundle, write_pictures
from benchmarks.worker_under_test import running
from benchmarks.yardstick import TARGETS_US, Yardstick
from schemas.manifest import FEATURE_VERSION
from train import cnn
from tuwen import local_kafka
from tuwen.kafka_client import admin, producer, read_all
from tuwen.topics import create
from worker.settings import WorkerSettings

CACHE: Final = Path(".tuwen/bench")
PARTITIONS: Final = 4
PATIENCE_S: Final = 600.0
LOOK_EVERY_S: Final = 0.1
READY_TARGET_S: Final = 2.0
RSS_TARGET_MB: Final = 250.0
FLAGS: Final = (
    *("bundle", "bootstrap_servers", "group", "delivery", "image_cache_bytes_max"),
    *("posts_topic", "verdicts_topic", "dead_letters_topic"),
)
SHORT_SLACK: Final = 3.0
"""How far over its target a short run may be: it shares its machine."""


Reference = Callable[[int, str], str]
"""Gives what the post of a number says of its picture, whose file is so named."""


@dataclass(frozen=True, slots=True)
class Pictured:
    """Where posts have their pictures from, and what a worker is told for it."""

    reference: Reference
    flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is sent, and what it may cost."""

    name: str
    pictures: bool
    warm_up: int
    posts: int
    target_us: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What one scenario cost."""

    scenario: Scenario
    cpu_us: float
    yardstick: Yardstick
    posts_per_s: float
    ready_s: float
    rss_mb: float

    @property
    def at_target_speed_us(self) -> float:
        """CPU µs of a post on the machine that the target is set for."""
        return self.yardstick.at_target_speed(self.cpu_us)


FULL: Final = (
    Scenario("text", False, 10_000, 40_000, 150.0),
    Scenario("text + 320×240 JPEG", True, 1_000, 9_000, 700.0),
)
SHORT: Final = (
    Scenario("text", False, 2_000, 8_000, 150.0),
    Scenario("text + 320×240 JPEG", True, 300, 1_500, 700.0),
)


def measure(
    scenario: Scenario,
    servers: str,
    processes: int,
    folder: Path,
    delivery: str = "exactly-once",
    group: str = "",
    pictured: Pictured | None = None,
    flags: Sequence[str] = (),
) -> Figures:
    """Run one scenario on topics of its own, which are named after the group."""
    settings = _settings(servers, group or ("images" if scenario.pictures else "text"), delivery)
    with admin(servers) as client:
        create(client, settings, PARTITIONS, 1)
    pictures = write_pictures(folder / "pictures")
    yardstick = Yardstick((folder / "pictures" / pictures[0]).read_bytes())
    pictured = pictured or Pictured(lambda _, name: f"file:pictures/{name}")
    posts = _posts(
        scenario.warm_up + scenario.posts, pictures if scenario.pictures else [], pictured.reference
    )
    _send(servers, settings.posts_topic, posts[: scenario.warm_up])
    told = [*_flags(settings), "--image-root", str(folder), "--processes", str(processes)]
    told += [*pictured.flags, *flags]
    with running(told, _free_port(), folder / "worker.log") as worker:
        progress = _Progress(servers, settings, yardstick)
        progress.wait(scenario.warm_up)
        yardstick.begin()
        began_s, cpu_s = time.monotonic(), worker.cpu_s()
        _send(servers, settings.posts_topic, posts[scenario.warm_up :])
        progress.wait(len(posts))
        seconds, cpu_s = time.monotonic() - began_s, worker.cpu_s() - cpu_s
        rss_mb = worker.rss_mb()
        progress.close()
    _reconcile(servers, settings, len(posts))
    cpu_us, posts_per_s = cpu_s / scenario.posts * 1e6, scenario.posts / seconds
    return Figures(scenario, cpu_us, yardstick, posts_per_s, worker.ready_s, rss_mb)


def _settings(servers: str, group: str, delivery: str) -> WorkerSettings:
    return WorkerSettings.model_validate(
        {
            "bundle": _bundle(),
            "bootstrap_servers": servers,
            "group": group,
            "delivery": delivery,
            # Each post has a picture of its own; that some hundred stand for all is no help.
            "image_cache_bytes_max": 0,
            "posts_topic": f"{group}.posts",
            "verdicts_topic": f"{group}.verdicts",
            "dead_letters_topic": f"{group}.dead-letters",
        }
    )


def _flags(settings: WorkerSettings) -> list[str]:
    return [
        part
        for name in FLAGS
        for part in (f"--{name.replace('_', '-')}", str(getattr(settings, name)))
    ]


def _bundle() -> Path:
    """The bundle, made once from what it is made of."""
    made_from = [Path(module.__file__ or "").read_bytes() for module in (cnn, real_size_bundle)]
    made = hashlib.sha256(b"".join(made_from)).hexdigest()[:12]
    bundle = CACHE / f"bundle-{FEATURE_VERSION}-{made}"
    if not (bundle / "manifest.json").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as beside:
            write_bundle(Path(beside) / "bundle")
            (Path(beside) / "bundle").rename(bundle)
    return bundle


def _posts(count: int, pictures: Sequence[str], reference: Reference) -> list[bytes]:
    encode = msgspec.json.Encoder().encode
    return [
        encode(
            {
                "id": f"post-{number}",
                "text": text,
                "image": reference(number, pictures[number % len(pictures)]) if pictures else None,
            }
        )
        for number, text in enumerate(texts(count, 2))
    ]


def _send(servers: str, topic: str, posts: Sequence[bytes]) -> None:
    with producer(servers) as client:
        for number, post in enumerate(posts):
            client.send(topic, post, partition=number % PARTITIONS)
        client.flush(timeout=60)


class _Progress:
    """How many posts the group has committed; their topic has no gaps."""

    def __init__(self, servers: str, settings: WorkerSettings, yardstick: Yardstick) -> None:
        from kafka import KafkaConsumer, TopicPartition

        self._client: Any = KafkaConsumer(
            bootstrap_servers=servers, group_id=settings.group, enable_auto_commit=False
        )
        self._yardstick = yardstick
        self._partitions = [TopicPartition(settings.posts_topic, n) for n in range(PARTITIONS)]

    def wait(self, posts: int) -> None:
        """Wait until `posts` of them are committed."""
        deadline_s = time.monotonic() + PATIENCE_S
        while self._done() < posts:
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"{self._done()} of {posts} posts in {PATIENCE_S:g} s")
            self._yardstick.take()
            time.sleep(LOOK_EVERY_S)

    def close(self) -> None:
        """Hang up."""
        self._client.close(autocommit=False)

    def _done(self) -> int:
        return sum(self._client.committed(partition) or 0 for partition in self._partitions)


def _reconcile(servers: str, settings: WorkerSettings, posts: int) -> None:
    """A figure counts only when each post has exactly one verdict."""
    sources = [
        tuple(msgspec.json.decode(record.value or b"")["source"].values())
        for record in read_all(servers, [settings.verdicts_topic])
    ]
    if len(sources) != posts or len(set(sources)) != posts:
        raise RuntimeError(f"{posts} posts, {len(sources)} verdicts, {len(set(sources))} sources")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _table(figures: Sequence[Figures], processes: int) -> Iterator[str]:
    yield f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; commit {commit()}"
    yield f"python -m benchmarks --processes {processes}"
    yield ""
    yield (
        "| posts | number | CPU µs a post | yardstick µs "
        f"| at {TARGETS_US:.0f} µs a yardstick | at most | posts/s | ready s | RSS MB |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in figures:
        scenario = one.scenario
        yield (
            f"| {scenario.name} | {scenario.posts} | {one.cpu_us:.0f} | {one.yardstick.us:.0f} "
            f"| **{one.at_target_speed_us:.0f}** | {scenario.target_us:.0f} "
            f"| {one.posts_per_s:.0f} | {one.ready_s:.2f} | {one.rss_mb:.0f} |"
        )


def _over(one: Figures, slack: float) -> Iterator[str]:
    for what, found, limit in (
        ("CPU µs a post", one.at_target_speed_us, one.scenario.target_us),
        ("seconds to ready", one.ready_s, READY_TARGET_S),
        ("MB resident", one.rss_mb, RSS_TARGET_MB),
    ):
        if found > limit * slack:
            yield f"{one.scenario.name}: {found:.2f} {what}, at most {limit:g} (times {slack:g})"


def main() -> int:
    """Print the table; exit 1 when a figure is over its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer posts, 3 times the targets")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", choices=["text", "images"])
    told, flags = parser.parse_known_args()
    scenarios = [
        scenario
        for scenario in (SHORT if told.short else FULL)
        if told.only in {None, "images" if scenario.pictures else "text"}
    ]
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "kafka"
        kafka = local_kafka.start(state, heap_mb=1024, compiler="full")
        try:
            figures = [
                measure(
                    *(scenario, kafka.bootstrap_servers, told.processes, Path(folder)), flags=flags
                )
                for scenario in scenarios
            ]
        finally:
            local_kafka.erase(state)
    print("\n".join(_table(figures, told.processes)))  # noqa: T201 - a program of figures.
    slack = SHORT_SLACK if told.short else 1.0
    over = [line for one in figures for line in _over(one, slack)]
    print("\n".join(over), file=sys.stderr)  # noqa: T201 - a program of figures.
    return 1 if over else 0
