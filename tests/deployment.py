"""The deployment's files, read for tests."""

import shlex
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DASHBOARD = ROOT / "dashboards" / "tuwen.json"


def read_yaml(path: str) -> Any:
    """Read a YAML file of the project."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def compose() -> dict[str, Any]:
    """Give the compose file, with merges done."""
    content: dict[str, Any] = read_yaml("docker-compose.yml")
    return content


def service(name: str) -> dict[str, Any]:
    """Give one service of the compose file."""
    content: dict[str, Any] = compose()["services"][name]
    return content


def words(command: str | list[str]) -> list[str]:
    """Split a command as Docker does."""
    return shlex.split(command) if isinstance(command, str) else command


def replaced(text: str, replacements: dict[str, str]) -> str:
    """Put this machine's names in the place of the containers'."""
    for name, here in replacements.items():
        text = text.replace(name, here)
    return text
