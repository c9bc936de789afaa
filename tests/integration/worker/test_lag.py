"""How far behind a worker is on a real log, with the markers and leftovers of transactions."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import MakeTopic
from tests.integration.worker.running_worker import RunningWorker, Topics, running_worker
from tests.tiny_bundle import write_tiny_bundle
from tuwen.kafka_client import admin
from tuwen.live.lag import Lag
from worker.kafka.broker import Transaction
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_python import connect
from worker.messages import Outgoing

pytestmark = pytest.mark.kafka

TIMEOUT_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes bring about."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.05)


def write(transaction: Transaction, topic: str, count: int) -> None:
    """Write posts, and leave the transaction open."""
    now_ms = time.time_ns() // 1_000_000
    for number in range(count):
        post = f'{{"id": "{number}", "text": "很好"}}'.encode()
        assert transaction.send(Outgoing(topic, 0, None, post, (), now_ms)) is None
    transaction.settle(10)


def shown(worker: RunningWorker) -> tuple[float, float, bool]:
    """Lag, seconds without a commit, and whether an open transaction hides records."""
    return (
        worker.metric("tuwen_lag_records"),
        worker.metric("tuwen_uncommitted_seconds"),
        worker.metric("tuwen_stable_offset_stuck_seconds") > 0,
    )


def test_the_lag_of_a_replay_and_an_aborted_tail_is_0_and_an_open_one_is_seen(
    kafka: str, make_topic: MakeTopic, tmp_path: Path
) -> None:
    """The log ends with markers behind the last record that anybody may read."""
    write_tiny_bundle(tmp_path / "bundle")
    topics = Topics(make_topic("posts", 1), make_topic("verdicts", 1), make_topic("letters", 1))
    name = f"{topics.posts}-sender"
    # Left open for as long as the test looks: the broker must not abort it meanwhile.
    settings = ClientSettings(kafka, name, topics.posts, name)
    patient = replace(
        settings,
        transaction_timeout_ms=60_000,
        session_timeout_ms=70_000,
        max_poll_interval_ms=80_000,
    )
    sender = connect(patient)
    try:
        replayed = sender.begin(10)
        write(replayed, topics.posts, 10)
        replayed.commit(10)
        aborted = sender.begin(10)
        write(aborted, topics.posts, 5)
        aborted.abort(10)
        with running_worker(kafka, topics, tmp_path / "bundle", tmp_path) as worker:
            until(lambda: worker.metric("tuwen_posts_total", outcome="verdict") == 10)
            # It is looked at every other second, and 10 posts take less.
            until(lambda: "tuwen_lag_records{" in worker.page("metrics"))
            until(lambda: worker.metric("tuwen_lag_records") == 0)
            assert shown(worker) == (0, 0, False)
            left_open = sender.begin(10)
            write(left_open, topics.posts, 3)
            until(lambda: shown(worker)[2])
            assert shown(worker) == (0, 0, True)
            left_open.commit(10)
            until(lambda: worker.metric("tuwen_posts_total", outcome="verdict") == 13)
            until(lambda: shown(worker) == (0, 0, False))
            behind_all = sender.begin(10)
            write(behind_all, topics.posts, 5)
            behind_all.abort(10)
            with admin(kafka) as client:
                live = Lag(client, kafka, topics.posts, topics.posts)
                first, second = live.look(), live.look()
            # No commit ever passes what was aborted: the live view looks into it.
            assert (first or 0) > 5
            assert second == 0
    finally:
        sender.close(5, leave=True)
