"""Watch verdicts and dead letters as they come."""

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from schemas.dead_letter import failure
from tuwen.application import application
from tuwen.kafka_client import Start, polled, reader
from tuwen.live.feed import VERDICTS, Feed, Watched
from tuwen.live.view import UNLABELLED, render, scores
from tuwen.options import with_settings
from tuwen.screen import err, out
from worker.messages import Record
from worker.settings import WorkerSettings

app = application()

FRAMES_PER_S: Final = 4
POLL_MS: Final = 200


@app.command(epilog="Example:  tuwen watch --from-beginning --json --idle-s 5 > verdicts.jsonl")
@with_settings("bootstrap_servers", "group", "posts_topic", "verdicts_topic", "dead_letters_topic")
def watch(
    *,
    lines: Annotated[
        bool, typer.Option("--lines", help="A line for each, as always where no terminal is.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Start with the oldest, not with the next.")
    ] = False,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many.")] = None,
    idle_s: Annotated[
        float | None, typer.Option(min=0.1, help="End when nothing came for so many seconds.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each verdict and dead letter.")
    ] = False,
    settings: WorkerSettings,
) -> None:
    """Watch verdicts and dead letters, committed ones alone, until Ctrl-C.

    On a terminal a live view: rates, lag, shares of the labels, reasons, latency, the last posts.
    """
    start: Start = "beginning" if from_beginning else "now"
    try:
        if as_json or lines or count or idle_s or not out().is_terminal:
            _print_lines(settings, start, _Limits(count, idle_s), as_json)
        else:
            _show_live(settings, start)
    except KeyboardInterrupt:
        err().print("stopped watching; the workers go on")


def _show_live(settings: WorkerSettings, start: Start) -> None:
    watched = Watched(
        settings,
        settings.posts_topic,
        settings.verdicts_topic,
        settings.dead_letters_topic,
        settings.group,
    )
    with Feed(watched, start) as feed:
        feed.wait_ready(5)
        hint = Text("Ctrl-C ends the view; the workers go on", "dim")
        with Live(console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                live.update(Group(render(feed.snapshot(), recent=10), hint), refresh=True)
                time.sleep(1 / FRAMES_PER_S)


class _Limits:
    """When to stop: after so many, or when nothing has come for so long."""

    def __init__(self, count: int | None, idle_s: float | None) -> None:
        self._left = count
        self._idle_s = idle_s
        self._last = time.monotonic()

    def reached(self) -> bool:
        """Whether it is time to stop."""
        idle = self._idle_s is not None and time.monotonic() - self._last > self._idle_s
        return self._left == 0 or idle

    def pass_one(self) -> None:
        """Note that one came."""
        self._last = time.monotonic()
        if self._left is not None:
            self._left -= 1


def _print_lines(
    settings: WorkerSettings,
    start: Start,
    limits: _Limits,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    topics = [settings.verdicts_topic, settings.dead_letters_topic]
    shown = _json_line if as_json else _line
    with reader(settings, topics, start) as consumer:
        for record in _records(consumer, limits):
            sys.stdout.write(shown(record, settings) + "\n")
            sys.stdout.flush()


def _records(consumer: object, limits: _Limits) -> Iterator[Record]:
    while not limits.reached():
        for record in polled(consumer, POLL_MS):
            if limits.reached():
                return
            yield record
            limits.pass_one()


def _json_line(record: Record, settings: WorkerSettings) -> str:
    """A verdict as it is, a dead letter as its reason: one line of JSON."""
    if record.partition.topic == settings.verdicts_topic:
        return (record.value or b"null").decode()
    key = None if record.key is None else record.key.decode("utf-8", "replace")
    return msgspec.json.encode({"dead_letter": key, "why": failure(record.headers)}).decode()


def _line(record: Record, settings: WorkerSettings) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(record.timestamp_ms / 1000))
    if record.partition.topic == settings.verdicts_topic:
        verdict = VERDICTS.decode(record.value or b"")
        missing = f"  ({verdict.missing})" if verdict.missing else ""
        figures = scores(verdict.scores, list(verdict.scores)).plain
        label = verdict.label or UNLABELLED
        return f"{at}  {label}  {figures} {'+'.join(verdict.used)}  {verdict.id}{missing}"
    found = failure(record.headers)
    key = "no key" if record.key is None else record.key.decode("utf-8", "replace")
    reason = "unknown" if found is None else f"{found.reason}: {found.detail}"
    return f"{at}  dead letter  {key}  {reason}"
