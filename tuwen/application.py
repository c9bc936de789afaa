"""How every command of tuwen looks: plain help, with an example at its end."""

import typer


def application() -> typer.Typer:
    """Make the application of one command, whose epilog is its example."""
    return typer.Typer(
        add_completion=False,
        # rich's help imports Markdown, tracebacks and highlighters: half a second for each --help.
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def group(*, example: str) -> typer.Typer:
    """Make the application of a group of commands, which alone shows its help."""
    app = application()
    app.info.epilog = f"Example:  {example}"
    app.info.no_args_is_help = True
    return app
