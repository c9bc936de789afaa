"""How every command of tuwen looks: plain help, with an example at its end."""

import typer


def application(*, example: str) -> typer.Typer:
    """Make the application of one command or group."""
    return typer.Typer(
        add_completion=False,
        no_args_is_help=False,
        # rich's help imports Markdown, tracebacks and highlighters: half a second for each --help.
        rich_markup_mode=None,
        epilog=f"Example:  {example}",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def group(*, example: str) -> typer.Typer:
    """Make the application of a group of commands, which alone shows its help."""
    app = application(example=example)
    app.info.no_args_is_help = True
    return app
