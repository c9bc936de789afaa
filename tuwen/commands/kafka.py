"""Run a local Apache Kafka."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tuwen import local_kafka
from tuwen.application import group
from tuwen.failures import Failed
from tuwen.screen import drawn, err, out

app = group(example="tuwen kafka start")

State = Annotated[Path, typer.Option(help="Folder of its state: topics, log, process id.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
STATE = Path(".tuwen/kafka")
PORT = 9092


@app.callback()
def _group() -> None:
    """Run a local Apache Kafka, without Docker: for development, tests and the demo."""


@app.command(epilog="Example:  tuwen kafka start --port 9092")
def start(
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Loopback port.")] = PORT,
    heap_mb: Annotated[int, typer.Option(min=256, help="Memory of its Java heap.")] = 512,
    state: State = STATE,
    as_json: Json = False,
) -> None:
    """Start it, or find it running; it goes on after this command."""
    with drawn(err()) as progress:
        running = local_kafka.start(state, port=port, heap_mb=heap_mb, progress=progress)
    _tell(running, as_json)


@app.command(epilog="Example:  tuwen kafka stop")
def stop(*, state: State = STATE) -> None:
    """Stop it; its topics are kept for the next start."""
    word = "stopped" if local_kafka.stop(state) else f"none ran from {state}"
    out().print(f"Apache Kafka: {word}", markup=False)


@app.command(epilog="Example:  tuwen kafka status --json")
def status(*, state: State = STATE, as_json: Json = False) -> None:
    """Say where it runs; exit 1 when it does not."""
    running = local_kafka.status(state)
    if running is None:
        raise Failed(f"no Kafka runs from {state}: `tuwen kafka start` starts one")
    _tell(running, as_json)


def _tell(running: local_kafka.RunningKafka, as_json: bool) -> None:  # noqa: FBT001 - a flag
    if as_json:
        facts = {"bootstrap_servers": running.bootstrap_servers, "pid": running.pid}
        typer.echo(json.dumps({**facts, "log": str(running.log)}))
        return
    out().print(
        f"Apache Kafka at {running.bootstrap_servers}, process {running.pid}, log {running.log}",
        markup=False,
    )
