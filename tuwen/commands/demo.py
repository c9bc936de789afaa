"""Show the whole system at work here, and reconcile it."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tuwen.application import group
from tuwen.demo.layout import FOLDER, DemoSettings, Layout
from tuwen.screen import out

app = group(example="tuwen demo --keep")
app.info.no_args_is_help = False
app.info.invoke_without_command = True

Folder = Annotated[Path, typer.Option("--state", help="Folder of everything that it makes.")]


@app.callback(epilog="Example:  tuwen demo --keep", invoke_without_command=True)
def demo(
    context: typer.Context,
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Make corpus and bundle anew, though they are there.")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave all of it running; `tuwen demo stop` ends it.")
    ] = False,
    state: Folder = FOLDER,
    train_posts: Annotated[int, typer.Option(min=100, hidden=True)] = 4_000,
    test_posts: Annotated[int, typer.Option(min=20, hidden=True)] = 1_000,
    steady_posts: Annotated[int, typer.Option(min=40, hidden=True)] = 4_000,
    rate: Annotated[float, typer.Option(min=1, hidden=True)] = 250,
    burst_posts: Annotated[int, typer.Option(min=0, hidden=True)] = 6_000,
    picture: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Start Kafka, make a corpus, train, export, classify, kill a worker, and reconcile.

    Everything stays on this machine, beneath one folder. The first run takes two minutes; later
    ones reuse corpus and bundle. Exit 0 only when every post has exactly one answer.
    """
    if context.invoked_subcommand is not None:
        return
    from tuwen.demo.run import run

    settings = DemoSettings(
        folder=state,
        making="fresh" if fresh else "reuse",
        ending="keep" if keep else "stop",
        train_posts=train_posts,
        test_posts=test_posts,
        steady_posts=steady_posts,
        rate_per_s=rate,
        burst_posts=burst_posts,
    )
    raise typer.Exit(run(replace(settings, picture=picture), Console(highlight=False)))


@app.command(epilog="Example:  tuwen demo stop")
def stop(*, state: Folder = FOLDER) -> None:
    """End what `tuwen demo --keep` left running, or what a killed demo did."""
    from tuwen.demo.running import stop as stop_all

    ended = stop_all(Layout(state))
    out().print(f"ended: {', '.join(ended)}" if ended else "no demo was running", markup=False)
