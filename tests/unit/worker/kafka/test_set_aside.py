"""What the client set aside of a paused partition must not be barred by an emptied fetch."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from worker.kafka.kafka_consumer import GroupConsumer


class Polled(Exception):
    """The client was polled; carries what its fetcher held then."""


def test_an_emptied_fetch_is_gone_before_the_client_is_polled() -> None:
    """Left there, it keeps kafka-python from giving a paused partition's records again."""
    fetcher = SimpleNamespace(_next_partition_records=())

    def poll(_timeout_ms: float, _records_max: int) -> None:
        raise Polled(fetcher._next_partition_records)

    member = cast("Any", object.__new__(GroupConsumer))
    member._slot = SimpleNamespace(demand=lambda: None)
    member._coordinator = SimpleNamespace(rejoining=False)
    member._fetcher = fetcher
    member._consumer = SimpleNamespace(poll=poll, _manager=None)
    with pytest.raises(Polled) as seen:
        member.poll(0.0, 1)
    assert seen.value.args == (None,)
