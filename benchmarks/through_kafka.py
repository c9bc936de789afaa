"""The test half of a corpus through Kafka and two workers: each post one verdict, and how right.

    python -m benchmarks.through_kafka BUNDLE CORPUS

A Kafka of its own is started and ended; the workers are the product's command, as an operator
starts it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from schemas.verdict import Source, Verdict
from tuwen import local_kafka
from tuwen.kafka_client import read_all
from worker.messages import Record

TOPICS: Final = ("tuwen.verdicts", "tuwen.dead-letters")
PATIENCE_S: Final = 120.0
STOP_S: Final = 15.0
TUWEN: Final = str(Path(sys.executable).with_name("tuwen"))


class Unanswered(Exception):
    """Not every post was answered in time; the text says how many were."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back. `accuracy` is of all posts, an unanswered or rejected one being wrong."""

    posts: int
    verdicts: int
    dead_letters: int
    twice: int
    accuracy: float
    seconds: float


def through_kafka(bundle: Path, corpus: Path, workers: int = 2) -> Answers:
    """Send the test half of `corpus` to `workers` processes, and read what they say."""
    truth = _truth(corpus)
    with tempfile.TemporaryDirectory() as state:
        kafka = local_kafka.start(Path(state))
        environment = os.environ | {
            "TUWEN_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "TUWEN_IMAGE_ROOT": str(corpus),
        }
        try:
            _run("topics", "create", "--partitions", "4", environment=environment)
            with _working(bundle, workers, environment):
                began_s = time.monotonic()
                _run("send", "--corpus", str(corpus), environment=environment)
                records = _answered(kafka.bootstrap_servers, len(truth))
                seconds = time.monotonic() - began_s
        finally:
            local_kafka.erase(Path(state))
    return _counted(records, truth, seconds)


def _truth(corpus: Path) -> Mapping[str, str]:
    """The label of each test post, by its id; a label's name where the corpus gives one."""
    rows = map(json.loads, (corpus / "test.jsonl").read_text("utf-8").splitlines())
    return {row["id"]: str(row.get("label_name", row["label"])) for row in rows}


def _run(*command: str, environment: Mapping[str, str]) -> None:
    subprocess.run([TUWEN, *command], env=environment, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _working(bundle: Path, workers: int, environment: Mapping[str, str]) -> Iterator[None]:
    command = [TUWEN, "worker", "--bundle", str(bundle), "--processes", str(workers)]
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(STOP_S)


def _answered(servers: str, count: int) -> list[Record]:
    """Read again until there are as many answers as posts, and once more for any too many."""
    deadline_s = time.monotonic() + PATIENCE_S
    records: list[Record] = []
    while len(records) < count:
        if time.monotonic() > deadline_s:
            raise Unanswered(f"{len(records)} of {count} posts were answered in {PATIENCE_S:g} s")
        records = list(read_all(servers, TOPICS))
    return list(read_all(servers, TOPICS))


def _counted(records: list[Record], truth: Mapping[str, str], seconds: float) -> Answers:
    letters = sum(record.partition.topic == TOPICS[1] for record in records)
    verdicts = [
        msgspec.json.decode(record.value or b"", type=Verdict)
        for record in records
        if record.partition.topic == TOPICS[0]
    ]
    sources: Counter[Source] = Counter(verdict.source for verdict in verdicts)
    right = sum(truth.get(verdict.id) == verdict.label for verdict in verdicts)
    return Answers(
        posts=len(truth),
        verdicts=len(verdicts),
        dead_letters=letters,
        twice=sum(count - 1 for count in sources.values()),
        accuracy=right / len(truth),
        seconds=seconds,
    )


def main() -> int:
    """Print the figures; exit 1 unless each post has exactly one verdict."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.through_kafka")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("corpus", type=Path)
    told = parser.parse_args()
    answers = through_kafka(told.bundle, told.corpus)
    print(json.dumps(msgspec.to_builtins(answers)))  # noqa: T201 -- a program of figures.
    return 0 if answers.verdicts == answers.posts and not answers.twice else 1


if __name__ == "__main__":
    sys.exit(main())
