"""How long work tells of itself, without knowing who shows it."""

from typing import Protocol


class Progress(Protocol):
    """Told of each step of long work; the front door draws it, tests collect or ignore it."""

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """`done` of `total` units of `step` are finished; `note` is a figure worth reading."""


def silent(step: str, done: int, total: int, note: str = "") -> None:
    """Tell nobody."""
