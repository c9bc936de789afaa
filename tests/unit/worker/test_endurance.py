"""A step outlasts a fault, tells of it once, and ends when it is abandoned."""

import threading
from collections.abc import Sequence

import pytest
import structlog
from prometheus_client import CollectorRegistry

from worker import endurance
from worker.endurance import PAUSE_MAX_S, Endurance, pause_s
from worker.metrics import Metrics


class Broken:
    """Fails so many times, whatever it is given."""

    def __init__(self, times: int) -> None:
        self.left = times

    def work(self, batch: Sequence[str]) -> list[str]:
        """Give the batch back, once all is well."""
        if self.left:
            self.left -= 1
            raise MemoryError
        return list(batch)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once."""
    monkeypatch.setattr(endurance, "pause_s", lambda _tries: 0.0)


def test_a_step_goes_on_by_itself_and_tells_twice() -> None:
    """However often it was tried in between: once when it begins, once when it ends."""
    registry = CollectorRegistry()
    enduring = Endurance(Metrics(registry), threading.Event())
    with structlog.testing.capture_logs() as events:
        found = enduring.through("features", ["a", "b"], Broken(5).work, "probe")
    assert [part.result for part in found.passed] == [["a", "b"]]
    assert [event["event"] for event in events] == [
        "held up by a fault, no post is lost",
        "goes on after a fault",
    ]
    assert "out of memory" in events[0]["why"]
    assert registry.get_sample_value("tuwen_step_faults_total", {"step": "features"}) == 5
    assert enduring.trouble == ""


def test_a_step_that_is_abandoned_is_tried_no_more() -> None:
    """It gives nothing, and nothing of its batch is committed."""
    abandon = threading.Event()
    abandon.set()
    broken = Broken(5)
    found = Endurance(Metrics(CollectorRegistry()), abandon).through(
        "fetch", ["a"], broken.work, "probe"
    )
    assert (found.passed, found.poison, broken.left) == ((), (), 4)


def test_pauses_grow_to_a_bound() -> None:
    """Half a second first, ten at most, however long it lasts."""
    assert [pause_s(tries) for tries in (0, 1, 2, 3)] == [0.5, 1, 2, 4]
    assert pause_s(10_000) == PAUSE_MAX_S


def test_a_flood_of_poison_is_one_line_a_kind() -> None:
    """Class and place of what it raises; the metric of rejects counts it."""

    def work(batch: Sequence[str]) -> list[str]:
        if "bad" in batch:
            raise ValueError
        if "worse" in batch:
            raise TypeError
        return list(batch)

    enduring = Endurance(Metrics(CollectorRegistry()), threading.Event())
    with structlog.testing.capture_logs() as events:
        for batch in (["bad", "a"], ["bad", "worse", "a"], ["bad", "a"]):
            assert enduring.through("inference", batch, work, "probe").poison
    assert [event["error"] for event in events] == ["ValueError", "TypeError"]
