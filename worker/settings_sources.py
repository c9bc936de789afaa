"""Gather the settings from flags, `TUWEN_…` variables and one TOML file, or say which is wrong.

The first that names a setting wins. An empty variable counts as not set.
"""

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from worker import link_settings
from worker.bucket_settings import BUCKET_SECRETS, BucketSettings
from worker.link_settings import SecuritySettings
from worker.settings import WorkerSettings
from worker.timeout_settings import TimeoutSettings

PREFIX: Final = "TUWEN_"
CONFIG_VARIABLE: Final = "TUWEN_CONFIG"
CONFIG_FILE: Final = "tuwen.toml"

NOT_SETTINGS: Final = frozenset({CONFIG_VARIABLE, "TUWEN_TEST_DATA"})
"""Variables with the prefix that are no setting: where the file is, and what tests read."""

SECRETS: Final = (*link_settings.SECRETS, *BUCKET_SECRETS)
"""Settings whose value nobody may read: no flag, no file of settings, no log."""

NAMES: Final = tuple(
    sorted(
        WorkerSettings.model_fields,
        key=lambda name: (
            name in SecuritySettings.model_fields,
            name in BucketSettings.model_fields,
            name in TimeoutSettings.model_fields,
        ),
    )
)
"""All settings in the order to show them in: what buckets and a secured Kafka need comes last."""

_UNITS: Final = {"ms": "ms", "s": "s", "bytes": "bytes", "records": "records", "pixels": "pixels"}


class SettingsError(Exception):
    """A setting is unknown or impossible; the text names it and where it was given."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as `tuwen settings` prints it. `source` is where its value came from."""

    name: str
    value: object
    unit: str
    source: str
    choosing: str


@dataclass(frozen=True, slots=True)
class Layer:
    """Values from one place; `place` writes the name of a setting as that place does."""

    values: Mapping[str, Any]
    place: str

    def written(self, name: str) -> str:
        """The setting's name as its user wrote it."""
        return self.place.format(name=name, upper=name.upper(), dashed=name.replace("_", "-"))


def read(flags: Mapping[str, object], config: Path | None = None) -> WorkerSettings:
    """Read all settings. `flags` are those given, None meaning not given; raises SettingsError."""
    return _build(_layers(flags, config))


def describe(flags: Mapping[str, object], config: Path | None = None) -> list[Setting]:
    """List every setting with its value, unit, source and how to choose it."""
    layers = _layers(flags, config)
    settings = _build(layers)
    return [
        Setting(
            name=name,
            value=getattr(settings, name),
            unit=unit(name),
            source=_source(layers, name),
            choosing=WorkerSettings.model_fields[name].description or "",
        )
        for name in NAMES
    ]


def unit(name: str) -> str:
    """The unit that a setting's name ends in, empty where it has none."""
    return _UNITS.get(name.removesuffix("_max").rpartition("_")[2], "")


def _layers(flags: Mapping[str, object], config: Path | None) -> list[Layer]:
    given = {name: value for name, value in flags.items() if value is not None}
    variables = EnvSettingsSource(WorkerSettings)()
    path = _config_path(config)
    layers = [
        Layer(given, "--{dashed}"),
        Layer(variables, f"{PREFIX}{{upper}}"),
        Layer(_toml(path), f"{path}: {{name}}"),
    ]
    _refuse_unknown(name for name in os.environ if name.upper().startswith(PREFIX))
    for layer in (layers[0], layers[2]):
        for name in layer.values:
            if name not in WorkerSettings.model_fields:
                raise SettingsError(f"{layer.written(name)} is no setting{_nearest(name)}")
            if name in SECRETS:
                raise SettingsError(
                    f"{layer.written(name)} is a secret, and is not kept there: name its file as "
                    f"{name}_file, or set {PREFIX}{name.upper()}"
                )
    return layers


def _config_path(config: Path | None) -> Path:
    named = config or (
        Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None
    )
    if named is not None and not named.is_file():
        raise SettingsError(f"{named} does not exist: --config or {CONFIG_VARIABLE} names no file")
    return named or Path(CONFIG_FILE)


def _toml(path: Path) -> Mapping[str, Any]:
    try:
        return TomlConfigSettingsSource(WorkerSettings, path).toml_data
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error


def _refuse_unknown(variables: Iterable[str]) -> None:
    for variable in variables:
        name = variable.upper().removeprefix(PREFIX).lower()
        if variable.upper() not in NOT_SETTINGS and name not in WorkerSettings.model_fields:
            raise SettingsError(
                f"the variable {variable} is no setting{_nearest(name)}: correct or unset it"
            )


def _nearest(name: str) -> str:
    near = get_close_matches(name, WorkerSettings.model_fields, n=1)
    return f" (is {near[0]} meant?)" if near else " (`tuwen settings` lists all)"


def _build(layers: list[Layer]) -> WorkerSettings:
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged.update(layer.values)
    try:
        return WorkerSettings(**merged)
    except ValidationError as error:
        raise SettingsError(_sentence(layers, error)) from error


def _sentence(layers: list[Layer], error: ValidationError) -> str:
    """One line: what is wrong with each, under the name that its user gave."""
    parts = []
    for fault in error.errors(include_url=False):
        message = fault["msg"].removeprefix("Value error, ")
        if fault["loc"]:
            name = str(fault["loc"][0])
            shown = "" if name in SECRETS else f" = {fault['input']!r}"
            message = f"{_source(layers, name)}{shown}: {message}"
        parts.append(message)
    return "; ".join(parts)


def _source(layers: list[Layer], name: str) -> str:
    for layer in layers:
        if name in layer.values:
            return layer.written(name)
    return "default"
