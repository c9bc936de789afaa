"""Look at what could not be classified, and why."""

import base64
import time
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from schemas.reasons import Reason
from tuwen import dead_letters
from tuwen.application import group
from tuwen.options import with_settings
from tuwen.screen import err, out
from worker.settings import WorkerSettings

app = group(example="tuwen dead-letters list --since 1h")

NAMES = ("bootstrap_servers", "dead_letters_topic")
Json = Annotated[bool, typer.Option("--json", help="A line of JSON for each.")]
TEXT_SHOWN_MAX = 4_000


@app.callback()
def _group() -> None:
    """Look at what could not be classified: the records as they came, and the reason."""


@app.command("list", epilog="Example:  tuwen dead-letters list --reason image-not-found --since 2h")
@with_settings(*NAMES)
def list_(
    *,
    reason: Annotated[Reason | None, typer.Option(help="Those with this reason alone.")] = None,
    since: Annotated[str | None, typer.Option(help="Not older than 90s, 15m, 2h or 7d.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 100,
    as_json: Json = False,
    settings: WorkerSettings,
) -> None:
    """List dead letters: where each lies, when its post was made, why, and its key."""
    found = list(_chosen(settings, reason, since))
    latest = sorted(found, key=lambda letter: letter.record.timestamp_ms)[-limit:]
    if as_json:
        for letter in latest:
            typer.echo(msgspec.json.encode(_facts(letter)))
        return
    if latest:
        out().print(_table(latest))
    err().print(_sum(found, settings.dead_letters_topic), markup=False)


@app.command(epilog="Example:  tuwen dead-letters show 2:17")
@with_settings(*NAMES)
def show(
    place: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` prints it.")],
    *,
    as_json: Json = False,
    settings: WorkerSettings,
) -> None:
    """Show one dead letter: reason, headers and payload; as hex what is no text."""
    letter = dead_letters.find(settings.bootstrap_servers, settings.dead_letters_topic, place)
    if as_json:
        typer.echo(msgspec.json.encode(_facts(letter) | _content(letter)))
        return
    console = out()
    for name, value in _facts(letter).items():
        console.print(f"{name:<10} {'–' if value is None else value}", markup=False)
    for header, content in letter.own_headers:
        shown = dead_letters.shown(content)
        console.print(f"header     {dead_letters.shown(header)} = {shown}", markup=False)
    payload = dead_letters.shown(letter.record.value)
    more = f"\n… {len(payload):,} characters in all; --json prints them" * (
        len(payload) > TEXT_SHOWN_MAX
    )
    console.print(f"\n{payload[:TEXT_SHOWN_MAX]}{more}", markup=False)


def _chosen(
    settings: WorkerSettings, reason: Reason | None, since: str | None
) -> Iterator[dead_letters.DeadLetter]:
    oldest_ms = 0.0 if since is None else (time.time() - dead_letters.seconds(since)) * 1000
    for letter in dead_letters.read(settings.bootstrap_servers, settings.dead_letters_topic):
        if letter.record.timestamp_ms < oldest_ms:
            continue
        if reason is None or (letter.why is not None and letter.why.reason == reason):
            yield letter


def _facts(letter: dead_letters.DeadLetter) -> dict[str, Any]:
    """What is known of a dead letter, without its content."""
    why = letter.why
    return {
        "place": letter.place,
        "at": _time(letter.record.timestamp_ms),
        "reason": why and why.reason,
        "detail": why and why.detail,
        "stage": why and why.stage,
        "source": why and f"{why.topic}/{why.partition}@{why.offset}",
        "model": why and why.model,
        "key": None if letter.record.key is None else dead_letters.shown(letter.record.key),
        "bytes": len(letter.record.value or b""),
    }


def _content(letter: dead_letters.DeadLetter) -> dict[str, Any]:
    """The record byte for byte, in base 64 since it may be anything."""
    record = letter.record
    return {
        "key_base64": _base64(record.key),
        "value_base64": _base64(record.value),
        "headers": [
            {"name": dead_letters.shown(name), "value_base64": _base64(value)}
            for name, value in letter.own_headers
        ],
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _time(timestamp_ms: int) -> str:
    whole = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp_ms / 1000))
    return f"{whole}.{timestamp_ms % 1000:03d}"


def _table(letters: list[dead_letters.DeadLetter]) -> Table:
    rows = [_facts(letter) for letter in letters]
    cells = [(f["place"], f["at"][5:19], f["reason"] or "unknown", f["key"] or "–") for f in rows]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column, name in enumerate(("place", "post made", "reason")):
        width = max(len(name), *(len(row[column]) for row in cells))
        table.add_column(name, no_wrap=True, min_width=width)
    # The one that gives way where there is little room.
    table.add_column("key", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _sum(found: list[dead_letters.DeadLetter], topic: str) -> str:
    reasons = Counter(letter.why.reason if letter.why else "unknown" for letter in found)
    parts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"{len(found):,} dead letters in {topic}" + (f": {parts}" if parts else "")
