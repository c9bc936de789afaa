"""Timeouts that do not nest are refused, and both are named."""

from dataclasses import replace

import pytest

from worker.kafka.client_settings import ClientSettings


def test_the_defaults_nest() -> None:
    """As FACTS says: request, delivery, transaction, session, poll interval."""
    settings = ClientSettings("127.0.0.1:9092", "tuwen", "tuwen.posts", "tuwen-host-0")
    assert settings.delivery == "exactly-once"


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
