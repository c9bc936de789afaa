"""A failpoint ends the process at its place, and nowhere else."""

from functools import partial
from typing import cast

import pytest

from tests.chaos.failpoint import PLACES, VARIABLE, Failpoint, armed
from worker.errors import TransactionAborted
from worker.kafka.broker import Broker
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory import MemoryCluster, unwaiting
from worker.messages import Outgoing


class Ended(BaseException):
    """The process has ended."""


def broker() -> Broker:
    """Connect to a cluster of its own."""
    cluster = MemoryCluster({"posts": 1}, wait=unwaiting)
    return cluster.connect(ClientSettings("memory:0", "group", "posts", "slot"))


def calls_until_the_end(place: str, times: int = 1) -> list[str]:
    """Commit twice and close; give the calls that were done before the end."""
    done: list[str] = []

    def end() -> None:
        raise Ended

    failpoint = Failpoint(place, times, end)
    outgoing = Outgoing("posts", 0, None, b"1", (), 0)
    try:
        connected = failpoint.around("connect", broker)
        done.append("connect")
        for _ in range(2):
            transaction = failpoint.around("begin", lambda: connected.begin(1.0))
            done.append("begin")
            failpoint.around("send", partial(transaction.send, outgoing))
            failpoint.around("settle", partial(transaction.settle, 1.0))
            failpoint.around("commit", partial(transaction.commit, 1.0))
            done.append("commit")
        failpoint.around("poll", lambda: connected.poll(0.0, 1))
        done.append("poll")
    except Ended:
        return done
    return [*done, "never ended"]


@pytest.mark.parametrize(
    ("place", "times", "done"),
    [
        ("before connect", 1, []),
        ("after connect", 1, []),
        ("before begin", 1, ["connect"]),
        ("after settle", 1, ["connect", "begin"]),
        ("before commit", 2, ["connect", "begin", "commit", "begin"]),
        ("after gained", 1, ["connect", *["begin", "commit"] * 2]),
        ("after revoked", 1, ["connect", *["begin", "commit"] * 2, "poll", "never ended"]),
    ],
)
def test_the_process_ends_at_its_place(place: str, times: int, done: list[str]) -> None:
    """The so many-th time that it comes there."""
    assert calls_until_the_end(place, times) == done


def test_an_abort_is_brought_about_where_it_is_the_place() -> None:
    """Else none might ever come."""
    with pytest.raises(TransactionAborted):
        calls_until_the_end("after abort")


def test_a_place_that_is_none_is_refused() -> None:
    """A scenario that names one wrongly would wait in vain."""
    with pytest.raises(ValueError, match="before noon"):
        Failpoint("before noon", 1)


def test_without_a_word_nothing_is_wrapped() -> None:
    """Nor is it with a word for others."""
    one = cast("Broker", object())
    assert armed(lambda: one, {}) is one
    assert armed(lambda: one, {VARIABLE: f"{PLACES[0]} 1"}) is not one
