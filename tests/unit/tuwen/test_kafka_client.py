"""How commands connect: they read what is committed, and write what is settled."""

from types import SimpleNamespace
from typing import Any

import pytest

from tuwen import kafka_client
from worker.kafka.exact_records import ExactRecords


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the client of Kafka is made with; it has no partitions, and is closed."""
    made: dict[str, Any] = {}

    def connect(_kind: object, config: dict[str, Any], *_: object) -> Any:
        made.update(config)
        made["client"] = SimpleNamespace(
            _fetcher=SimpleNamespace(),
            assign=lambda _: None,
            seek_to_beginning=lambda: None,
            close=lambda **_: None,
        )
        return made["client"]

    monkeypatch.setattr(kafka_client, "connected", connect)
    return made


def test_a_reader_is_shown_nothing_that_was_aborted(asked: dict[str, Any]) -> None:
    """And commits nothing, wherever it begins."""
    with kafka_client.reader("nobody:1", [], "beginning") as reader:
        assert reader._fetcher.PartitionRecords is ExactRecords
    names = ("isolation_level", "enable_auto_commit", "auto_offset_reset")
    assert [asked[name] for name in names] == ["read_committed", False, "earliest"]


def test_a_sender_fills_large_batches_and_compresses_them(asked: dict[str, Any]) -> None:
    """A request for each record would cost more than the record."""
    with kafka_client.producer("nobody:1"):
        pass
    names = ("linger_ms", "batch_size", "compression_type")
    assert [asked[name] for name in names] == [10, 256 * 1024, "lz4"]


def test_a_command_is_back_soon_after_its_broker(asked: dict[str, Any]) -> None:
    """The client's own pause between attempts grows to half a minute."""
    with kafka_client.producer("nobody:1"):
        pass
    assert asked["reconnect_backoff_max_ms"] == 1_000
