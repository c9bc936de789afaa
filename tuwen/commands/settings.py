"""Print each setting with its value, unit and how to choose it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic_core import to_jsonable_python
from rich.markup import escape
from rich.padding import Padding

from tuwen.application import application
from tuwen.options import with_flags
from tuwen.screen import out
from worker.settings_sources import NAMES, Setting, describe

app = application()


@app.command(epilog="Example:  TUWEN_GROUP=canary tuwen settings --processes 4")
@with_flags(*NAMES)
def settings(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    flags: dict[str, Any],
    config: Path | None,
) -> None:
    """Print each setting, its value, unit, where it comes from and how to choose it.

    Settings come from flags, TUWEN_… variables and one TOML file, in that order.
    """
    found = describe(flags, config)
    if as_json:
        typer.echo(json.dumps([_plain(setting) for setting in found], ensure_ascii=False, indent=2))
        return
    console = out()
    for setting in found:
        unit = f" {setting.unit}" if setting.unit else ""
        console.print(
            f"[bold]{setting.name}[/] = {escape(str(_shown(setting)))}{unit}  "
            f"[dim]({escape(setting.source)})[/]"
        )
        # Wrapped here, and not by the terminal, so that it stays indented.
        console.print(Padding(escape(setting.choosing), (0, 0, 0, 4)), soft_wrap=False)


def _plain(setting: Setting) -> dict[str, object]:
    return {
        "name": setting.name,
        "value": to_jsonable_python(setting.value),
        "unit": setting.unit or None,
        "source": setting.source,
        "choosing": setting.choosing,
    }


def _shown(setting: Setting) -> object:
    value = to_jsonable_python(setting.value)
    return "unset" if value is None else value
