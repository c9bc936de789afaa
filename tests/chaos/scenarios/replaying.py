"""A replay of dead letters that is killed in the middle, again and again: what comes back, once.

What came back is read by a client that shares no code with the replay, and compared whole: key,
value, headers, timestamp and partition.
"""

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from schemas.reasons import Reason
from schemas.verdict import ModelName
from tests.chaos.fleet import ROOT
from tests.chaos.oracle import Isolation, read_all
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.topics import Topics
from tests.mortal_broker import STEPS
from tuwen.replay.running import LETTERS_MAX
from worker.kafka import kafka_python
from worker.kafka.client_settings import ClientSettings
from worker.messages import Partition, Record, Reject
from worker.publish import Publisher
from worker.settings import WorkerSettings

END_S = 120.0
WRITTEN_TOGETHER = 1_000
# Between flush and commit: all is written, and nothing of it may be seen.
IN_COMMIT = ("offsets", "commit")
Seen = tuple[int, str | bytes | None, str | bytes | None, tuple[Any, ...], int]


def run(place: Place, load: Load) -> Figures:
    """Kill a replay at every step of its transactions in turn, and let the last one end."""
    figures = Figures(posts=load.posts, hits={"kills": 0, "in commit": 0})
    topics, folder = Topics(place.servers, place.name), place.folder
    topics.create()
    records = _records(topics, load)
    _write_letters(topics, records)
    chance = random.Random(load.seed)
    replay = ""
    for number in range(load.faults):
        step = STEPS[number % len(STEPS)]
        turn = 1 + chance.randrange(max(1, load.posts // LETTERS_MAX // load.faults))
        replay, code = _live(topics, folder, _death(step, turn), replay)
        figures.demand(code == -signal.SIGKILL, f"life {number} ended with {code} at {step}")
        figures.hit("kills", int(code == -signal.SIGKILL))
        figures.hit("in commit", int(step in IN_COMMIT))
    before_end = _seen(topics, "read_committed").total()
    figures.demand(0 < before_end < load.posts, f"{before_end} were back at the last kill")
    began_s = time.monotonic()
    _, code = _live(topics, folder, ("begin", 0), replay)
    figures.drained_s = time.monotonic() - began_s
    figures.demand(code == 0, f"the last life ended with {code}: {_log(folder)}")
    _reconcile(figures, topics, records)
    return figures


def _death(step: str, turn: int) -> tuple[str, int]:
    """Say how often a step is met until it is that of the so many-th transaction with letters.

    The first transaction of a life writes the replay down, and has no offsets.
    """
    if step == "send":
        return step, 1 + (turn - 1) * (LETTERS_MAX + 1) + LETTERS_MAX // 2
    return step, turn if step == "offsets" else turn + 1


def _live(topics: Topics, folder: Path, death: tuple[str, int], replay: str) -> tuple[str, int]:
    """Run a replay until it ends or dies; give its id and exit code."""
    settings = WorkerSettings(
        bootstrap_servers=topics.servers,
        posts_topic=topics.posts,
        verdicts_topic=topics.verdicts,
        dead_letters_topic=topics.dead_letters,
    )
    command = [sys.executable, "-m", "tests.chaos.replayer", death[0], str(death[1])]
    with (folder / "replay.log").open("a") as log:
        done = subprocess.run(
            [*command, *filter(None, [replay])],
            cwd=ROOT,
            input=settings.model_dump_json() + "\n",
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            timeout=END_S,
            check=False,
        )
    return done.stdout.strip() or replay, done.returncode


def _log(folder: Path) -> str:
    return (folder / "replay.log").read_text(errors="replace")[-2_000:]


def _records(topics: Topics, load: Load) -> list[Record]:
    """Make records that no worker could label, with all that Kafka allows in them."""
    chance = random.Random(load.seed)
    made_ms = time.time_ns() // 1_000_000 - load.posts
    return [
        Record(
            Partition(topics.posts, number % topics.partitions),
            number // topics.partitions,
            None if number % 7 == 0 else chance.randbytes(8),
            None if number % 11 == 0 else b"{" + chance.randbytes(100),
            ((b"number", str(number).encode()), (b"nothing", None)) * (number % 3),
            made_ms + number,
        )
        for number in range(load.posts)
    ]


def _write_letters(topics: Topics, records: Sequence[Record]) -> None:
    """Write their dead letters as a worker does."""
    model = ModelName("tiny", "1", "soft-voting")
    publisher = Publisher(topics.verdicts, 0, topics.dead_letters, model, ["yes", "no"])
    broker = kafka_python.connect(
        ClientSettings(topics.servers, topics.name, topics.posts, f"{topics.name}-writer")
    )
    try:
        for start in range(0, len(records), WRITTEN_TOGETHER):
            transaction = broker.begin(10.0)
            for record in records[start : start + WRITTEN_TOGETHER]:
                reject = Reject(record, Reason.MALFORMED_JSON, "not UTF-8")
                transaction.send(publisher.dead_letter(reject).outgoing)
            transaction.settle(10.0)
            transaction.commit(10.0)
    finally:
        broker.close(5.0, leave=True)


def _reconcile(figures: Figures, topics: Topics, records: Sequence[Record]) -> None:
    """Compare what failed with what came back."""
    wanted: Counter[Seen] = Counter(
        (
            record.partition.number,
            record.key,
            record.value,
            (*((name.decode(), value) for name, value in record.headers), ("tuwen.replays", b"1")),
            record.timestamp_ms,
        )
        for record in records
    )
    committed = _seen(topics, "read_committed")
    figures.lost = (wanted - committed).total()
    figures.twice = (committed - wanted).total()
    figures.uncommitted = _seen(topics, "read_uncommitted").total() - committed.total()
    figures.demand(figures.uncommitted, "read_uncommitted shows no more rows: no fault has hit")


def _seen(topics: Topics, isolation: Isolation) -> Counter[Seen]:
    """Count what a reader finds on the posts' topic now."""
    return Counter(
        (
            message.partition() or 0,
            message.key(),
            message.value(),
            tuple(message.headers() or ()),
            message.timestamp()[1],
        )
        for message in read_all(topics, [topics.posts], isolation)
    )
