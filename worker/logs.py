"""Set up the logs: one line an event on stderr, JSON or for eyes, and never a post's content."""

import logging
import sys
import time
import warnings
from contextlib import suppress
from typing import Final, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

REPEAT_AFTER_S: Final = 30.0
"""Others' loggers say the same thing at most this often: a client that reconnects says much."""

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}
# Below it, kafka-python and its like log what they carry.
_OTHERS_LEVEL_MIN: Final = logging.WARNING


def configure(
    log_format: Literal["auto", "json", "console"],
    log_level: Literal["debug", "info", "warning", "error"],
    slot: int | str,
    stream: TextIO = sys.stderr,
) -> None:
    """Send structlog's and the standard library's events to `stream`, each with its slot."""
    level = _LEVELS[log_level]
    structlog.configure(
        processors=[
            _slot_adder(slot),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *_renderers(log_format, stream),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Lossy(stream))),
    )
    logging.captureWarnings(True)
    # What Pillow thinks of a stranger's image is in the verdict or the dead letter.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    root = logging.getLogger()
    root.handlers = [Bridge()]
    root.setLevel(max(level, _OTHERS_LEVEL_MIN))


def _slot_adder(slot: int | str) -> Processor:
    def add_slot(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["slot"] = slot
        return event

    return add_slot


def _renderers(log_format: str, stream: TextIO) -> list[Processor]:
    if log_format == "console" or (log_format == "auto" and stream.isatty()):
        # The plain traceback: the others print local variables, posts among them.
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(stream.isatty(), exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


class _Lossy:
    """A stream that loses what cannot be written: a full disk ends the log, and never the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write, or do not; the next line is tried again."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Hand over what was written, or do not."""
        with suppress(OSError):
            self._stream.flush()


class Bridge(logging.Handler):
    """Hands records of the standard library to structlog, and drops what repeats itself."""

    def __init__(self) -> None:
        super().__init__()
        self._said_s: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record under the name of its logger, unless its like was just logged."""
        now_s = time.monotonic()
        # By the template, not the text: attempts and addresses in it differ each time.
        template = (record.name, str(record.msg))
        if now_s - self._said_s.get(template, -REPEAT_AFTER_S) < REPEAT_AFTER_S:
            return
        self._said_s = {
            said: at_s for said, at_s in self._said_s.items() if now_s - at_s < REPEAT_AFTER_S
        } | {template: now_s}
        logger = structlog.get_logger()
        logger.log(record.levelno, record.getMessage(), logger=record.name)
