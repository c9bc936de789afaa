import errno
import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from worker import logs


@pytest.fixture(autouse=True)
def _own_logs() -> Iterator[None]:
    """Leave the logs of the other tests as they were."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers, root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """The events that were written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_a_line_of_json_with_its_slot() -> None:
    """Time, level and slot are on every line; Chinese stays readable."""
    stream = io.StringIO()
    logs.configure("json", "info", 3, stream)
    structlog.get_logger().info("分区", partitions=[1])
    (event,) = lines(stream)
    assert isinstance(event.pop("timestamp"), str)
    assert event == {"event": "分区", "partitions": [1], "level": "info", "slot": 3}
    assert "分区" in stream.getvalue()


class FullDisk(io.StringIO):
    """A file on a disk that has no room for now."""

    full = True

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    """An event is lost, and who logged it goes on; later ones are written when there is room."""
    stream = FullDisk()
    logs.configure("json", "info", 0, stream)
    structlog.get_logger().info("lost, or late")
    stream.full = False
    structlog.get_logger().info("room again")
    assert lines(stream)[-1]["event"] == "room again"


def test_what_is_below_the_level_is_not_written() -> None:
    """The least level is a setting."""
    stream = io.StringIO()
    logs.configure("json", "warning", 0, stream)
    structlog.get_logger().info("a")
    structlog.get_logger().warning("b")
    assert [event["event"] for event in lines(stream)] == ["b"]


def test_others_logs_come_the_same_way_and_quietly() -> None:
    """Warnings of libraries are lines like ours; their chatter is not written at any level."""
    stream = io.StringIO()
    logs.configure("json", "debug", 0, stream)
    logging.getLogger("client.conn").info("payload %s", "secret")
    logging.getLogger("client.conn").warning("closed %s", 1)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", stacklevel=1)
    assert [event["logger"] for event in lines(stream)] == ["client.conn", "py.warnings"]


def test_what_a_library_repeats_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that reconnects ten times a second fills no disk; after a while it is told again."""
    stream = io.StringIO()
    logs.configure("json", "info", 0, stream)
    for attempt in range(20):
        logging.getLogger("client.conn").error("refused, attempt %d", attempt)
    logging.getLogger("client.conn").error("another")
    monkeypatch.setattr(logs, "REPEAT_AFTER_S", 0.0)
    logging.getLogger("client.conn").error("refused, attempt %d", 21)
    assert [event["event"] for event in lines(stream)] == [
        "refused, attempt 0",
        "another",
        "refused, attempt 21",
    ]


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_holds_no_local_variable(log_format: str) -> None:
    """What a post says stays out of the logs, also when something breaks on it."""
    stream = io.StringIO()
    logs.configure(log_format, "info", 0, stream)  # type: ignore[arg-type]

    def break_on(text_of_the_post: str) -> None:
        raise ValueError(len(text_of_the_post))

    try:
        break_on("tell" + "tale")
    except ValueError:
        structlog.get_logger().exception("a stage failed")
    assert "ValueError: 8" in stream.getvalue()
    assert "telltale" not in stream.getvalue()


def test_a_stream_that_is_no_terminal_gets_json() -> None:
    """`auto` chooses by the terminal."""
    stream = io.StringIO()
    logs.configure("auto", "info", 0, stream)
    structlog.get_logger().info("a")
    assert lines(stream)[0]["event"] == "a"


def test_what_pillow_thinks_of_an_image_is_not_logged() -> None:
    """Its warnings name files of the installation, and the post has its answer anyway."""
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logs.configure("json", "info", 0, stream)
        for module in ("PIL.PngImagePlugin", "worker.somewhere"):
            warnings.warn_explicit("odd", UserWarning, "some.py", 1, module)
    (event,) = lines(stream)
    assert "some.py" in str(event["event"])
