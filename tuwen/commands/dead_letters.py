"""Look at what could not be classified, and replay it."""

import base64
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from schemas.replay import Choice
from tuwen import dead_letters
from tuwen.application import group
from tuwen.commands.dead_letters_replay import (
    ReasonOption,
    SinceOption,
    TopicOption,
    UntilOption,
    chosen_by,
    replay,
)
from tuwen.failures import Refused
from tuwen.kafka_client import admin
from tuwen.options import with_settings
from tuwen.replay import cluster
from tuwen.replay.journal import Place
from tuwen.screen import err, out
from worker.errors import NotAuthorized
from worker.settings import WorkerSettings

Replayed = Mapping[Place, Sequence[str]]
"""By which replays the letter at a place was put back."""

app = group(example="tuwen dead-letters list --since 1h")

NAMES = ("bootstrap_servers", "dead_letters_topic")
Json = Annotated[bool, typer.Option("--json", help="A line of JSON for each.")]
TEXT_SHOWN_MAX = 4_000

app.command(
    "replay", epilog="Example:  tuwen dead-letters replay --reason image-not-found --since 2h"
)(replay)


@app.callback()
def _group() -> None:
    """Look at what could not be classified, record and reason, and replay what was mended."""


@app.command("list", epilog="Example:  tuwen dead-letters list --reason image-not-found --since 2h")
@with_settings(*NAMES)
def list_(
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 100,
    as_json: Json = False,
    settings: WorkerSettings,
) -> None:
    """List dead letters: where each lies, when its post was made, why, and its key."""
    found = list(_chosen(settings, chosen_by(reason, topic, since, until)))
    replayed = _replayed(settings)
    if as_json:
        for letter in _latest(found, limit):
            typer.echo(msgspec.json.encode(_facts(letter, replayed)))
        return
    if found:
        out().print(_table(_latest(found, limit), replayed))
    err().print(_sum(found, settings.dead_letters_topic), markup=False)


@app.command(epilog="Example:  tuwen dead-letters show 2:17")
@with_settings(*NAMES)
def show(
    place: Annotated[
        str | None, typer.Argument(metavar="PARTITION:OFFSET", help="As `list` prints it.")
    ] = None,
    *,
    reason: ReasonOption = None,
    topic: TopicOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="The latest so many.")] = 10,
    as_json: Json = False,
    settings: WorkerSettings,
) -> None:
    """Show dead letters, one or the latest: reason, headers and payload; as hex what is no text."""
    choice = chosen_by(reason, topic, since, until)
    if place is not None and choice != Choice():
        raise Refused("a PARTITION:OFFSET names one dead letter: leave out what chooses others")
    if place is not None:
        found = [dead_letters.find(settings, settings.dead_letters_topic, place)]
    else:
        found = _latest(_chosen(settings, choice), limit)
    replayed = _replayed(settings)
    for number, letter in enumerate(found):
        if as_json:
            typer.echo(msgspec.json.encode(_facts(letter, replayed) | _content(letter)))
        else:
            out().print("\n" * (number > 0) + _shown(letter, replayed), markup=False)
    if not found and not as_json:
        err().print(_sum([], settings.dead_letters_topic), markup=False)


def _shown(letter: dead_letters.DeadLetter, replayed: Replayed) -> str:
    """Write a dead letter down as people read it."""
    facts = _facts(letter, replayed)
    lines = [f"{name:<10} {'–' if value is None else value}" for name, value in facts.items()]
    for header, content in letter.own_headers:
        shown = dead_letters.shown(content)
        lines.append(f"header     {dead_letters.shown(header)} = {shown}")
    payload = dead_letters.shown(letter.record.value)
    more = f"\n… {len(payload):,} characters in all; --json prints them" * (
        len(payload) > TEXT_SHOWN_MAX
    )
    return "\n".join([*lines, "", f"{payload[:TEXT_SHOWN_MAX]}{more}"])


def _chosen(settings: WorkerSettings, choice: Choice) -> Iterator[dead_letters.DeadLetter]:
    for letter in dead_letters.read(settings, settings.dead_letters_topic):
        if dead_letters.is_chosen(letter, choice):
            yield letter


def _latest(
    letters: Iterable[dead_letters.DeadLetter], limit: int
) -> list[dead_letters.DeadLetter]:
    """Give the last ones, by when their posts were made; the latest at the end."""
    found = deque(sorted(letters, key=lambda letter: letter.record.timestamp_ms), limit)
    return list(found)


def _replayed(settings: WorkerSettings) -> Replayed:
    """Ask which of them were put back, and by which replays."""
    topic = settings.dead_letters_topic
    with admin(settings) as client:
        letters_id = cluster.facts(client, topic, "Read").id
        try:
            return cluster.read_journal(client, settings, topic, letters_id).replayed
        except NotAuthorized:
            return {}  # who may read the letters alone sees them all the same


def _facts(letter: dead_letters.DeadLetter, replayed: Replayed) -> dict[str, Any]:
    """What is known of a dead letter, without its content."""
    why = letter.why
    by = replayed.get((letter.record.partition.number, letter.record.offset), ())
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
        "replays": letter.replays,
        "replayed": ", ".join(by) or None,
    }


def _content(letter: dead_letters.DeadLetter) -> dict[str, Any]:
    """The record byte for byte, in base 64 since it may be anything."""
    record = letter.record
    return {
        "key_base64": _base64(record.key),
        "value_base64": _base64(record.value),
        "headers": [
            {
                "name": dead_letters.shown(name),
                "name_base64": _base64(name),
                "value_base64": _base64(value),
            }
            for name, value in letter.own_headers
        ],
    }


def _base64(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


def _time(timestamp_ms: int) -> str:
    whole = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp_ms / 1000))
    return f"{whole}.{timestamp_ms % 1000:03d}"


def _table(letters: Sequence[dead_letters.DeadLetter], replayed: Replayed) -> Table:
    rows = [_facts(letter, replayed) for letter in letters]
    cells = [
        (
            row["place"],
            row["at"][5:19],
            letter.reason,
            "yes" if row["replayed"] else "–",
            row["key"] or "–",
        )
        for letter, row in zip(letters, rows, strict=True)
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column, name in enumerate(("place", "post made", "reason", "replayed")):
        width = max(len(name), *(len(row[column]) for row in cells))
        table.add_column(name, no_wrap=True, min_width=width)
    # The one that gives way where there is little room.
    table.add_column("key", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def _sum(found: list[dead_letters.DeadLetter], topic: str) -> str:
    reasons = Counter(letter.reason for letter in found)
    parts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    return f"{len(found):,} dead letters in {topic}" + (f": {parts}" if parts else "")
