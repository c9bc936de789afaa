"""Create the topics, or check them."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from tuwen import topics
from tuwen.application import group
from tuwen.failures import Failed
from tuwen.kafka_client import admin
from tuwen.options import with_settings
from tuwen.screen import err, out
from worker.settings import WorkerSettings

app = group(example="tuwen topics create")

NAMES = ("bootstrap_servers", "posts_topic", "verdicts_topic", "dead_letters_topic")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _group() -> None:
    """Create the topics of posts, verdicts and dead letters, or check them."""


@app.command(epilog="Example:  tuwen topics create --partitions 12 --replication-factor 3")
@with_settings(*NAMES)
def create(
    *,
    partitions: Annotated[
        int, typer.Option(min=1, help="Of each topic: no fewer than workers you will ever want.")
    ] = 6,
    replication_factor: Annotated[
        int, typer.Option(min=1, help="Copies of each partition; 3 where there are 3 brokers.")
    ] = 1,
    as_json: Json = False,
    settings: WorkerSettings,
) -> None:
    """Create the topics that do not exist yet; those that do stay as they are."""
    with admin(settings) as client:
        made = topics.create(client, settings, partitions, replication_factor)
    _tell(made, as_json)


@app.command(epilog="Example:  tuwen topics check --bootstrap-servers broker:9092")
@with_settings(*NAMES)
def check(*, as_json: Json = False, settings: WorkerSettings) -> None:
    """Say whether the topics are there and fit together; exit 1 when workers could not run."""
    with admin(settings) as client:
        found = topics.present(client, settings)
    _tell(found, as_json)
    for remark in topics.remarks(found):
        err().print(remark, markup=False)
    if wrong := topics.faults(found):
        raise Failed("; ".join(wrong))


def _tell(found: Sequence[topics.Topic], as_json: bool) -> None:  # noqa: FBT001 - a command's flag
    if as_json:
        typer.echo(json.dumps([asdict(topic) for topic in found]))
        return
    for topic in found:
        state = "created" if topic.created else "there" if topic.partitions else "missing"
        out().print(f"{topic.name:<24} {topic.partitions:>4} partitions  {state}", markup=False)
