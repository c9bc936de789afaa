"""What is behind its log, and for how long nothing has moved."""

from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from worker.kafka.broker import Ends
from worker.lag import LagWatch
from worker.messages import Partition
from worker.metrics import Metrics

PARTITION = Partition("posts", 1)
OTHER = Partition("posts", 2)
LAG, UNCOMMITTED_S, STUCK_S = (
    "tuwen_lag_records",
    "tuwen_uncommitted_seconds",
    "tuwen_stable_offset_stuck_seconds",
)


class Watch:
    """A watch of one partition, with its gauges and its log."""

    def __init__(self, stalled_after_s: float = 60.0) -> None:
        self.registry = CollectorRegistry()
        self.watch = LagWatch(Metrics(self.registry), stalled_after_s)

    def look(self, now_s: float, position: int, stable: int, high: int | None = None) -> None:
        """Look at the partition."""
        ends = Ends(stable, stable if high is None else high)
        self.watch.look({PARTITION: position}, {PARTITION: ends}, now_s)

    def shown(self, name: str, partition: Partition = PARTITION) -> float | None:
        """The value of a gauge."""
        labels = {"topic": partition.topic, "partition": str(partition.number)}
        return self.registry.get_sample_value(name, labels)


@pytest.fixture
def watch() -> Watch:
    """A watch that has seen nothing."""
    return Watch()


def test_time_without_a_commit_counts_while_there_is_lag(watch: Watch) -> None:
    """From the last commit; a partition that has nothing to do does not stand still."""
    for now_s, position, stable, expected in (
        (0.0, 5, 5, 0),
        (100.0, 5, 5, 0),
        (102.0, 5, 9, 2),
        (104.0, 5, 9, 4),
        (106.0, 7, 9, 0),
        (108.0, 7, 9, 2),
        (110.0, 9, 9, 0),
        (112.0, 9, 9, 0),
    ):
        watch.look(now_s, position, stable)
        assert (watch.shown(LAG), watch.shown(UNCOMMITTED_S)) == (stable - position, expected)


def test_a_partition_that_was_gained_with_lag_counts_from_then(watch: Watch) -> None:
    """Its owner before may have been dead for long; this worker has only just begun."""
    watch.look(1000.0, 5, 9)
    assert watch.shown(UNCOMMITTED_S) == 0
    watch.look(1030.0, 5, 9)
    assert watch.shown(UNCOMMITTED_S) == 30
    watch.watch.forget(PARTITION)
    assert watch.shown(UNCOMMITTED_S) is None
    watch.look(1060.0, 5, 9)
    assert watch.shown(UNCOMMITTED_S) == 0


def test_a_stable_offset_behind_the_high_watermark_is_no_lag_and_has_its_own_gauge(
    watch: Watch,
) -> None:
    """Somebody's transaction hides records: nothing can be read, so no worker is to blame."""
    watch.look(0.0, 5, 5, 8)
    watch.look(30.0, 5, 5, 8)
    assert [watch.shown(name) for name in (LAG, UNCOMMITTED_S, STUCK_S)] == [0, 0, 30]
    watch.look(32.0, 5, 7, 8)
    assert watch.shown(STUCK_S) == 0
    watch.look(34.0, 5, 7, 8)
    assert watch.shown(STUCK_S) == 2
    watch.look(36.0, 5, 8, 8)
    assert watch.shown(STUCK_S) == 0


def test_without_an_answer_the_last_ends_stand(watch: Watch) -> None:
    """A broker that is away stops no clock."""
    watch.look(0.0, 5, 9)
    watch.watch.look({PARTITION: 5, OTHER: 0}, {}, 50.0)
    assert (watch.shown(LAG), watch.shown(UNCOMMITTED_S)) == (4, 50)
    assert watch.shown(LAG, OTHER) is None


@pytest.mark.parametrize(
    ("standing", "moved", "lines"),
    [
        ((5, 9, 9), (6, 9, 9), ("partition stalled", "partition moves again")),
        ((5, 5, 9), (5, 9, 9), ("an open transaction hides records", "records show again")),
    ],
    ids=["uncommitted", "stuck"],
)
def test_a_stall_is_logged_once_and_its_end_once(
    watch: Watch, standing: Any, moved: Any, lines: tuple[str, str]
) -> None:
    """After stalled_after_s, with the partition and where it stands."""
    with structlog.testing.capture_logs() as events:
        for now_s in (0, 59, 60, 62, 500):
            watch.look(now_s, *standing)
        assert [event["event"] for event in events] == [lines[0]]
        for now_s in (502, 504):
            watch.look(now_s, *moved)
    assert [(event["event"], event["log_level"]) for event in events] == [
        (lines[0], "warning"),
        (lines[1], "info"),
    ]
    assert (events[0]["topic"], events[0]["partition"], events[0]["for_s"]) == ("posts", 1, 60)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))))
def test_standing_still_is_never_more_than_the_time_since_something_moved(
    steps: list[tuple[int, int, int]],
) -> None:
    """Whatever happens: 0 without lag, and at most the time since the position changed."""
    watch = Watch()
    position = stable = 0
    moved_s = 0.0
    for now_s, (done, come, hidden) in enumerate(steps):
        if done and position < stable:
            position, moved_s = min(stable, position + done), float(now_s)
        stable += come
        watch.look(now_s, position, stable, stable + hidden)
        shown = watch.shown(UNCOMMITTED_S)
        assert shown is not None
        assert 0 <= shown <= now_s - moved_s
        assert shown == 0 or stable > position
