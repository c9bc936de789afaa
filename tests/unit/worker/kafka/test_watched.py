"""Each call that kafka-python could wait in for ever is watched, for as long as it may take."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from worker.kafka.broker import Broker, Membership
from worker.kafka.watched import WatchedBroker
from worker.messages import Outgoing
from worker.watchdog import Watchdog

MEMBER = Membership(object())
POST = Outgoing("verdicts", 0, None, b"", (), 0)


class Noting:
    """A watchdog that notes what it watches, and a broker that notes what was watched in a call."""

    def __init__(self) -> None:
        self.now: dict[object, tuple[str, float]] = {}
        self.calls: list[tuple[str, list[tuple[str, float]]]] = []

    def begin(self, name: str, timeout_s: float) -> object:
        token = object()
        self.now[token] = (name, timeout_s)
        return token

    def over(self, token: object) -> None:
        self.now.pop(token, None)

    @contextmanager
    def bounding(self, name: str, timeout_s: float) -> Iterator[None]:
        token = self.begin(name, timeout_s)
        yield
        self.over(token)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*_: object, **__: object) -> "Noting":
            self.calls.append((name, list(self.now.values())))
            return self

        return call


def watched(noting: Noting) -> WatchedBroker:
    """A broker whose transactions may be open for 9 s."""
    broker = type("Bare", (), {"__getattr__": lambda _, name: noting.__getattr__(name)})()
    return WatchedBroker(cast("Broker", broker), cast("Watchdog", noting), 9.0)


@pytest.mark.parametrize(
    ("call", "name", "bound_s"),
    [
        (lambda b: b.begin(7.0), "beginning a transaction", 14.0),
        (lambda b: b.begin(7.0).send(POST), "sending the records of a transaction", 9.0),
        (lambda b: b.begin(7.0).settle(6.0), "the flush of a transaction", 6.0),
        (lambda b: b.begin(7.0).offsets({}, MEMBER, 5.0), "adding offsets to a transaction", 5.0),
        (lambda b: b.begin(7.0).commit(4.0), "the commit of a transaction", 4.0),
        (lambda b: b.begin(7.0).abort(3.0), "the abort of a transaction", 3.0),
        (lambda b: b.mark({}, MEMBER, 3.0), "committing offsets", 3.0),
        (lambda b: b.committed([], 2.0), "asking for committed offsets", 2.0),
        (lambda b: b.ends([], 2.0), "asking for the ends of the logs", 4.0),
        (lambda b: b.partitions("posts", 2.0), "looking up topic 'posts'", 2.0),
        (lambda b: b.close(1.0, leave=True), "closing the connections to Kafka", 1.0),
    ],
)
def test_a_call_is_watched_while_it_lasts(
    call: Callable[[WatchedBroker], object], name: str, bound_s: float
) -> None:
    """Under its name and bound, which it has of its caller."""
    noting = Noting()
    call(watched(noting))
    assert (name, bound_s) in noting.calls[-1][1]


def test_a_transaction_that_has_ended_is_watched_no_longer() -> None:
    """Neither by its commit nor by its abort is anything left behind."""
    noting = Noting()
    broker = watched(noting)
    transaction = broker.begin(7.0)
    transaction.settle(6.0)
    transaction.offsets({}, MEMBER, 5.0)
    transaction.commit(4.0)
    broker.begin(7.0).abort(3.0)
    assert noting.now == {}
