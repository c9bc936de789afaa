"""The lag of the pipeline, and partitions that stand still."""

import msgspec
import pytest
import structlog

from tests.unit.worker.bench import Bench, eventually, held_up
from worker import polling
from worker.errors import Unavailable
from worker.kafka.client_settings import ClientSettings
from worker.messages import Outgoing


def lag_of(bench: Bench, name: str = "tuwen_lag_records") -> list[float | None]:
    """A gauge of both partitions."""
    return [
        bench.registry.get_sample_value(name, {"topic": "posts", "partition": number})
        for number in "01"
    ]


def test_markers_and_an_aborted_tail_are_no_lag(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log ends behind the last post that anybody can read, and the lag is 0 there."""
    monkeypatch.setattr(polling, "LAG_EVERY_S", 0.0)
    sender = bench.cluster.connect(ClientSettings("memory:0", "s", "posts", "sender"))
    for end in ("commit", "abort", "abort"):
        transaction = sender.begin(1)
        for partition in (0, 1):
            post = msgspec.json.encode({"id": end, "text": "好"})
            transaction.send(Outgoing("posts", partition, None, post, (), 1_000))
        transaction.settle(1)
        getattr(transaction, end)(1)
    bench.start()
    eventually(lambda: len(bench.verdicts()) == 2)
    eventually(lambda: lag_of(bench) == [0, 0])
    assert lag_of(bench, "tuwen_uncommitted_seconds") == [0, 0]


def test_a_partition_that_stalls_is_told_and_so_is_that_it_moves(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker polls and is a member, but nothing of the partition is committed."""
    monkeypatch.setattr(polling, "LAG_EVERY_S", 0.0)
    bench.post(0)
    with structlog.testing.capture_logs() as events:
        with held_up(bench.classifier):
            bench.start(stalled_after_s=0.3)
            eventually(lambda: (lag_of(bench, "tuwen_uncommitted_seconds")[0] or 0) >= 0.3)
            assert lag_of(bench) == [1, 0]
        eventually(lambda: lag_of(bench) == [0, 0])
    told = [event["event"] for event in events if "partition" in event]
    assert told == ["partition stalled", "partition moves again"]


def test_a_partition_whose_end_is_not_told_stands_still_all_the_same(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that does not answer is no reason to look well."""
    monkeypatch.setattr(polling, "LAG_EVERY_S", 0.0)
    bench.post(0)

    def silent(*_: object) -> None:
        raise Unavailable("no answer")

    def uncommitted_s() -> float:
        return lag_of(bench, "tuwen_uncommitted_seconds")[0] or 0.0

    with held_up(bench.classifier):
        pipeline, _ = bench.start()
        eventually(lambda: lag_of(bench)[0] == 1)
        monkeypatch.setattr(pipeline._broker, "ends", silent)
        before_s = uncommitted_s()
        eventually(lambda: uncommitted_s() > before_s + 0.5)
