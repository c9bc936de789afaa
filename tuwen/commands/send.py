"""Send posts from a file to Kafka."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from tuwen import sending
from tuwen.application import application
from tuwen.failures import Refused
from tuwen.kafka_client import admin, producer
from tuwen.options import with_settings
from tuwen.screen import drawn, err, out
from tuwen.topics import counts
from worker.errors import UnknownTopic
from worker.settings import WorkerSettings

app = application()

Source = Iterator[sending.Sendable]


@app.command(epilog="Example:  tuwen send posts.jsonl --rate 100")
@with_settings("bootstrap_servers", "posts_topic")
def send(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE.jsonl|-", help="One post on each line; - is stdin."),
    ] = None,
    *,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Send the test half of this corpus; its images become file: references, "
            "so that workers need --image-root with the same folder."
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Posts per second. [default: all at once]")
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Send lines that are no posts too, to see them refused.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: WorkerSettings,
) -> None:
    """Send posts: the key is the post's id, the timestamp is now, and each is made sure of.

    A post is {"id": …, "text": … or null, "image": reference or null}.
    """
    topic = settings.posts_topic
    with _records(file, corpus, as_is) as (records, total):
        with admin(settings) as client:
            if topic not in counts(client, [topic]):
                raise UnknownTopic(topic)
        began = time.monotonic()
        with producer(settings) as client, drawn(err()) as progress:
            sent = sending.Sender(client, topic).send(
                records, rate, lambda count: progress("posts sent", count, max(total, count))
            )
    _tell(sent, time.monotonic() - began, topic, as_json)


def _tell(sent: int, seconds: float, topic: str, as_json: bool) -> None:  # noqa: FBT001 - a flag
    if as_json:
        typer.echo(json.dumps({"sent": sent, "seconds": round(seconds, 3), "topic": topic}))
        return
    out().print(f"{sent:,} posts sent to {topic} in {seconds:.1f} s", markup=False)


@contextmanager
def _records(
    file: str | None,
    corpus: Path | None,
    as_is: bool,  # noqa: FBT001 - a command's flag
) -> Iterator[tuple[Source, int]]:
    """Open what is sent, and count it where it can be counted."""
    if (file is None) == (corpus is None):
        raise Refused("name what to send: a FILE.jsonl, - for stdin, or --corpus DIR; one of them")
    if corpus is not None:
        total = _count(corpus / "test.jsonl")
        yield sending.from_corpus(corpus), total
        return
    read = sending.as_is if as_is else sending.from_lines
    if file == "-":
        yield read(sys.stdin.buffer, "stdin"), 0
        return
    path = Path(str(file))
    total = _count(path)
    with path.open("rb") as lines:
        yield read(lines, str(path)), total


def _count(path: Path) -> int:
    lines: IO[bytes]
    with path.open("rb") as lines:
        return sum(1 for line in lines if line.strip())
