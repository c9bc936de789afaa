import datetime as dt

import pytest

from schemas.dead_letter import CONNECT_TOPIC
from tuwen.dead_letters import hexed, moment_ms, of, seconds, shown
from tuwen.failures import Refused
from worker.messages import Partition, Record


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "null"),
        (b"", ""),
        ("今天\n".encode(), "今天\n"),
        (b"\xff\x00", "ff 00"),
        (b"\x1b[2J", "1b 5b 32 4a"),
    ],
)
def test_what_is_no_printable_text_is_shown_as_hex(content: bytes | None, text: str) -> None:
    """A payload may hold what would take the terminal over."""
    assert shown(content) == text


def test_long_hex_has_an_offset_on_each_line() -> None:
    """Sixteen bytes a line, as hexdump has it."""
    assert hexed(bytes(18)) == f"00000000  {'00 ' * 15}00\n00000010  00 00"


@pytest.mark.parametrize(("span", "s"), [("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86400)])
def test_a_span_of_time_has_a_unit(span: str, s: float) -> None:
    """Seconds, minutes, hours, days."""
    assert seconds(span) == s


@pytest.mark.parametrize("span", ["", "5", "h", "-1h", "1w", "1h30m"])
def test_anything_else_is_no_span(span: str) -> None:
    """And is refused with what would be one."""
    with pytest.raises(Refused, match="90s, 15m, 2h or 7d"):
        seconds(span)


def test_a_moment_is_a_span_before_now_or_a_time_of_day() -> None:
    """A time without a zone is a local one."""
    assert moment_ms("2h", 10_000.5) == 2_800_500
    assert moment_ms("1970-01-01T00:00:01.250+00:00", 0) == 1_250
    assert moment_ms("1970-01-02T01:00+01:00", 0) == 86_400_000
    local = moment_ms("2026-11-26T08:30", 0)
    assert dt.datetime.fromtimestamp(local / 1000).isoformat() == "2026-11-26T08:30:00"  # noqa: DTZ006


def test_what_is_neither_is_refused_with_both() -> None:
    """The reader sees how each is written."""
    with pytest.raises(Refused, match=r"'yesterday' is no .* 7d, or a moment: 2026-11-26T08:30"):
        moment_ms("yesterday", 0)


def test_a_dead_letter_of_somebody_else_has_no_reason() -> None:
    """It is shown all the same."""
    record = Record(Partition("dead", 2), 17, b"k", b"v", ((b"own", b"1"),), 0)
    letter = of(record)

    assert letter.place == "2:17"
    assert letter.why is None
    assert letter.own_headers == ((b"own", b"1"),)


def test_the_headers_that_were_added_are_not_the_records_own() -> None:
    """What the producer wrote, and nothing else."""
    headers = ((b"own", None), (CONNECT_TOPIC, b"posts"), (b"tuwen.reason", b"x"))

    assert of(Record(Partition("dead", 0), 0, None, None, headers, 0)).own_headers == (
        (b"own", None),
    )
