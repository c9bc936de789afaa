"""Taking a slot over, leaving the group and closing, each within its time."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.errors import Unavailable
from worker.kafka import kafka_python
from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_consumer import GroupConsumer
from worker.kafka.kafka_python import KafkaPython, connect

SETTINGS = ClientSettings("nobody:1", "tuwen", "posts", "slot-0")


class Noting:
    """Stands for a consumer, questions and a slot at once, and notes what it is asked for."""

    def __init__(self) -> None:
        self.settings = SETTINGS
        self.member_id = "member-1"
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*given: object, **_: object) -> int:
            self.calls.append((name, *given))
            return 1

        return call

    def named(self, name: str) -> list[list[Any]]:
        """What was given in the calls of that name."""
        return [given for called, *given in self.calls if called == name]


def test_a_process_takes_over_its_dead_selfs_transaction_before_it_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it holds the next owner and all readers up until the broker gives it up."""
    noting = Noting()
    monkeypatch.setattr(kafka_python, "connected", lambda *_: noting)
    for name in ("ClusterQuestions", "Slot", "GroupConsumer"):
        monkeypatch.setattr(kafka_python, name, lambda *_: noting)
    connect(SETTINGS)
    assert noting.named("take_over") == [[5.0]]


@pytest.mark.parametrize("leave", [True, False])
def test_a_static_member_that_is_to_leave_says_so_itself(leave: bool) -> None:
    """kafka-python has it stay until its session ends, and its partitions with it."""
    noting = Noting()
    broker = KafkaPython(cast("GroupConsumer", noting), cast("Any", noting), cast("Any", noting))
    broker.close(2.0, leave=leave)
    assert noting.named("leave") == [["tuwen", "slot-0", "member-1", 1.0]] * leave


def test_a_close_that_does_not_come_back_is_not_waited_for() -> None:
    """kafka-python's own waits for ever in places."""
    never = threading.Event()
    member = cast("Any", object.__new__(GroupConsumer))
    member._coordinator = SimpleNamespace()
    member._consumer = SimpleNamespace(close=lambda **_: never.wait(1.0))
    with pytest.raises(Unavailable, match="closing the consumer: took longer"):
        member.close(0.1)
    never.set()
