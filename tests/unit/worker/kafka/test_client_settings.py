"""Timeouts that do not nest are refused, and both are named."""

from dataclasses import replace

import pytest

from worker.kafka.client_settings import ClientSettings
from worker.timeout_settings import TimeoutSettings


def test_the_defaults_nest() -> None:
    """Request, delivery, transaction, session, poll interval: none is refused."""
    settings = ClientSettings("127.0.0.1:9092", "tuwen", "tuwen.posts", "tuwen-host-0")
    assert settings.delivery == "exactly-once"


@pytest.mark.parametrize(
    ("name", "default_ms"),
    [
        ("request_timeout_ms", 5_000),
        ("delivery_timeout_ms", 6_000),
        ("transaction_timeout_ms", 10_000),
        ("session_timeout_ms", 15_000),
        # It is the rebalance timeout, too: a joiner waits that long for a member that hangs.
        ("max_poll_interval_ms", 30_000),
    ],
)
def test_the_defaults_recover_soon(name: str, default_ms: int) -> None:
    """The client's own wait for minutes. A client on its own has those of a worker."""
    assert TimeoutSettings.model_fields[name].default == default_ms
    assert getattr(ClientSettings("servers", "group", "topic", "slot"), name) == default_ms


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("request_timeout_ms", "delivery_timeout_ms"),
        ("delivery_timeout_ms", "transaction_timeout_ms"),
        ("transaction_timeout_ms", "session_timeout_ms"),
        ("session_timeout_ms", "max_poll_interval_ms"),
    ],
)
def test_timeouts_that_do_not_nest_are_refused(inner: str, outer: str) -> None:
    """A transaction must not outlive its member, nor a record its transaction."""
    fitting = ClientSettings("servers", "group", "topic", "slot")
    too_long = getattr(fitting, outer)
    with pytest.raises(ValueError, match=rf"{inner} .* less than {outer}"):
        replace(fitting, **{inner: too_long})
