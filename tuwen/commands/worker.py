"""Classify posts from Kafka until stopped."""

import typer

from tuwen.application import application
from tuwen.options import with_settings
from worker import supervisor
from worker.settings import WorkerSettings
from worker.settings_sources import NAMES

app = application()


@app.command(epilog="Example:  tuwen worker --bundle bundle --processes 2")
@with_settings(*NAMES)
def worker(*, settings: WorkerSettings) -> None:
    """Classify posts from Kafka, each exactly once, until Ctrl-C or SIGTERM.

    Workers of one group share the posts: start more of them, here or elsewhere, for more load.
    """
    raise typer.Exit(supervisor.run(settings))
