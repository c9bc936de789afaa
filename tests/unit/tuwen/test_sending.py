import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka.errors import KafkaTimeoutError, MessageSizeTooLargeError

from tuwen import sending
from tuwen.failures import Failed
from tuwen.sending import Sendable, Sender, as_is, due_s, from_corpus, from_lines


class FakeFuture:
    """A send that is settled, well or not."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def get(self, timeout: float) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error


class FakeProducer:
    """Takes what it is sent; the record with `broken` as its value fails later."""

    def __init__(self, error: Exception | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self._error = error

    def send(self, topic: str, **record: Any) -> FakeFuture:
        """Take a record."""
        self.sent.append({"topic": topic, **record})
        return FakeFuture(self._error if record["value"] == b"broken" else None)

    def flush(self, timeout: float) -> None:
        """All is settled already."""


def records(*values: bytes) -> list[Sendable]:
    """Records to be sent."""
    return [Sendable(b"k", value, f"f:{n}") for n, value in enumerate(values, 1)]


def test_lines_are_sent_byte_for_byte_under_their_id() -> None:
    """Unknown fields and odd spacing stay; empty lines are no posts."""
    line = b'{"id": "a",  "text":"x", "more": 1}'

    assert list(from_lines([line + b"\n", b"\n"], "f")) == [Sendable(b"a", line, "f:1")]


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"text": "x"}', b'{"id": 1}', b"\xff"])
def test_a_line_that_is_no_post_is_refused_by_its_number(line: bytes) -> None:
    """Unless it is to be sent as it is."""
    with pytest.raises(Failed, match=r"^f:2 is no post: "):
        list(from_lines([b'{"id": "a"}', line], "f"))
    assert list(as_is([line], "f")) == [Sendable(None, line, "f:1")]


def test_a_corpus_is_sent_without_its_truth(tmp_path: Path) -> None:
    """Its images become references beneath the corpus, odd names written as they must be."""
    rows = [
        {"id": "a", "text": "x", "image": "images/1 好.jpg", "label": 1, "label_name": "坏"},
        {"id": "b", "text": "y", "image": None, "label": 0},
    ]
    lines = b"\n".join(msgspec.json.encode(row) for row in rows)
    (tmp_path / "test.jsonl").write_bytes(lines)

    sent = [msgspec.json.decode(record.value) for record in from_corpus(tmp_path)]

    assert sent == [
        {"id": "a", "text": "x", "image": "file:images/1%20%E5%A5%BD.jpg"},
        {"id": "b", "text": "y", "image": None},
    ]


def test_a_rate_says_when_each_is_due() -> None:
    """The first at once, the hundred and first after a second of 100."""
    assert due_s(0, 100) == 0
    assert due_s(100, 100) == 1
    assert due_s(1_000_000, None) == 0


def test_a_rate_is_kept() -> None:
    """Twenty posts at 200 a second take a tenth of a second, less one interval."""
    began = time.monotonic()
    sent = Sender(FakeProducer(), "posts").send(records(*[b"x"] * 20), 200)

    assert sent == 20
    assert time.monotonic() - began >= 19 / 200


def test_the_timestamp_is_now_in_milliseconds() -> None:
    """It is what latency is measured from."""
    producer = FakeProducer()
    before = time.time_ns() // 1_000_000
    Sender(producer, "posts").send(records(b"x"))

    assert before <= producer.sent[0]["timestamp_ms"] <= time.time_ns() // 1_000_000


def test_a_record_that_kafka_did_not_take_is_named() -> None:
    """Sending is no success before each record is settled."""
    sender = Sender(FakeProducer(KafkaTimeoutError("x")), "posts")

    with pytest.raises(Failed, match="f:2 for topic 'posts'"):
        sender.send(records(b"x", b"broken", b"x"))


def test_no_more_is_unsettled_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the client holds has no bound of its own; a fault is told before all are sent."""
    monkeypatch.setattr(sending, "UNSETTLED_MAX", 2)
    producer = FakeProducer(KafkaTimeoutError("x"))

    with pytest.raises(Failed, match="f:1 for topic 'posts'"):
        Sender(producer, "posts").send(records(b"broken", *[b"x"] * 7))
    assert len(producer.sent) == 3


def test_a_record_that_is_too_large_is_said_so() -> None:
    """It will not be taken the next time either."""
    sender = Sender(FakeProducer(MessageSizeTooLargeError("x")), "posts")

    with pytest.raises(Failed, match="f:1 is larger than topic 'posts' takes"):
        sender.send(records(b"broken"))


def test_sending_stops_when_it_is_told_to() -> None:
    """What was sent until then is settled."""
    producer = FakeProducer()
    sent = Sender(producer, "posts").send(
        records(*[b"x"] * 10), stopped=lambda: len(producer.sent) == 3
    )

    assert sent == len(producer.sent) == 3
