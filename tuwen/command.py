"""The command `tuwen`: a table of commands, each imported only when it is given."""

import importlib
import sys
from collections.abc import Sequence
from typing import Any, Final, cast

import typer
from typer.core import TyperCommand, TyperGroup

from tuwen.failures import FAILED, explain

COMMANDS: Final = {
    "demo": "Show the whole system at work here, and reconcile it.",
    "kafka": "Run a local Apache Kafka: start, stop, status.",
    "topics": "Create the topics, or check them.",
    "corpus": "Make a corpus of demo posts, or check one of yours.",
    "label": "Label texts by sentiment lexicons, without people.",
    "train": "Train text, image and fusion models on a corpus.",
    "report": "Report on trained models, as one page of figures.",
    "export": "Turn trained models into an ONNX bundle, proven equal.",
    "bundle": "Show what a bundle holds, or check it.",
    "classify": "Classify one post, or a file of them, without Kafka.",
    "evaluate": "Judge a bundle on a corpus, or two against each other.",
    "worker": "Classify posts from Kafka, each exactly once, until stopped.",
    "send": "Send posts from a file to Kafka.",
    "watch": "Watch verdicts and dead letters as they come.",
    "dead-letters": "Look at what could not be classified, and replay it.",
    "settings": "Print each setting, its value and how to choose it.",
}
"""Names and what each is for, as `tuwen --help` lists them; the modules say the same."""

INTERRUPTED: Final = 130
"""What Typer makes of Ctrl-C; ours are 0, 1 and 2."""


class LazyGroup(TyperGroup):
    """A group that imports a command's module when the command is given, not when it is listed."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, line in COMMANDS.items():
            self.add_command(TyperCommand(name=name, help=line))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Find the stand-in by its name, and put the real command in its place."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and stand_in else stand_in, rest


def load(name: str) -> TyperCommand | TyperGroup:
    """Import the module of a command and build it."""
    module = importlib.import_module(f"tuwen.commands.{name.replace('-', '_')}")
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(module.app))
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    help="tuwen 图文: classify streams of Chinese posts, text and image together, on Apache Kafka.",
    add_completion=False,
    no_args_is_help=True,
    # rich's help imports Markdown, tracebacks and highlighters: half a second for each --help.
    rich_markup_mode=None,
    epilog="Start here:  tuwen demo",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _front_door() -> None:
    """Only the commands do something."""


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code; every error becomes a line on stderr."""
    try:
        outcome = app(args=list(arguments), prog_name="tuwen", standalone_mode=False)
    except Exception as fault:  # noqa: BLE001 - the one place where any fault becomes a line
        failure = explain(fault)
        print(f"tuwen: {failure.text}", file=sys.stderr)  # noqa: T201 - needs no terminal
        return failure.code
    if outcome == INTERRUPTED:
        print("tuwen: stopped", file=sys.stderr)  # noqa: T201 - as above
        return FAILED
    return outcome if isinstance(outcome, int) else 0


def main() -> None:
    """Run the command line that this process was started with."""
    sys.exit(run(sys.argv[1:]))
