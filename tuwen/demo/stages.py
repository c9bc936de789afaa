"""Tell of the demo's stages: each announced, its progress drawn, its seconds printed."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from schemas.progress import Progress
from tuwen.screen import drawn

STAGES: Final = 6


class Stages:
    """Prints what begins and how long it took."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self._number = 0

    @contextmanager
    def stage(self, title: str) -> Iterator[Progress]:
        """Announce a stage, and print its seconds at its end; gives what draws its progress."""
        self._number += 1
        self.console.print(f"\n[bold]{self._number}/{STAGES}  {title}[/]")
        began = time.monotonic()
        with drawn(self.console) as progress:
            yield progress
        self.seconds[title] = time.monotonic() - began
        self.console.print(f"  [dim]{self.seconds[title]:.1f} s[/]")

    def say(self, *lines: str) -> None:
        """Print lines of the stage, indented."""
        for line in lines:
            self.console.print(f"  {line}")

    def skip(self, titles: Sequence[str], why: str) -> None:
        """Tell that stages need not be done."""
        for title in titles:
            self._number += 1
            self.console.print(f"\n[bold]{self._number}/{STAGES}  {title}[/]")
            self.say(why)
