"""Give a command the worker's settings as flags, so that each is described in one place."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from worker.settings import WorkerSettings
from worker.settings_sources import SECRETS, read

Command = Callable[..., None]

_METAVARS: Final = (
    ("Path", "PATH"),
    ("ByteSize", "BYTES"),
    ("bool", "true|false"),
    ("int", "N"),
    ("float", "N"),
)

CONFIG = Annotated[
    Path | None,
    typer.Option(help="TOML file of settings; without it tuwen.toml, where there is one."),
]


def with_settings(*names: str) -> Callable[[Command], Command]:
    """Add flags for these settings; the command gets all settings as `settings`.

    Flags win over `TUWEN_…` variables, those over the TOML file (`worker.settings_sources`).
    """
    return _decorator(names, lambda flags, config: {"settings": read(flags, config)})


def with_flags(*names: str) -> Callable[[Command], Command]:
    """Add flags for these settings; the command gets what was given as `flags` and `config`."""
    return _decorator(names, lambda flags, config: {"flags": flags, "config": config})


def _decorator(
    names: tuple[str, ...], resolve: Callable[[dict[str, Any], Path | None], dict[str, Any]]
) -> Callable[[Command], Command]:
    # Whoever lists the processes of a machine reads their flags.
    names = tuple(name for name in names if name not in SECRETS)
    parameters = {name: _parameter(name) for name in names}
    parameters["config"] = inspect.Parameter(
        "config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CONFIG
    )

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def run(*arguments: Any, **options: Any) -> None:
            config = options.pop("config")
            flags = {name: options.pop(name) for name in names}
            command(*arguments, **options, **resolve(flags, config))

        _sign(run, command, parameters)
        return run

    return decorate


def _sign(run: Command, command: Command, added: dict[str, inspect.Parameter]) -> None:
    """Give `run` the parameters of `command`, those that are resolved for it replaced by flags."""
    own = inspect.signature(command, eval_str=True).parameters
    kept = [p for name, p in own.items() if name not in {"settings", "flags", "config"}]
    parameters = [*kept, *added.values()]
    run.__dict__["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}


def _parameter(name: str) -> inspect.Parameter:
    field = WorkerSettings.model_fields[name]
    option = typer.Option(help=_help(name, field), metavar=_metavar(field), show_default=False)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[str | None, option],
    )


def _help(name: str, field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    tail = "" if default is None else f" [default: {default}]"
    return f"{field.description}{tail} [TUWEN_{name.upper()}]"


def _metavar(field: FieldInfo) -> str:
    kind = field.annotation
    for one in (kind, *get_args(kind)):  # an optional choice is a choice
        if get_origin(one) is Literal:
            return "|".join(map(str, get_args(one)))
    text = str(kind)
    for mark, word in _METAVARS:
        if mark in text:
            return word
    return "TEXT"
