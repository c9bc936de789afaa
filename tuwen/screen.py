"""What people see: consoles, and long work drawn as it goes; calm lines where no terminal is."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console, JustifyMethod
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from schemas import progress

LINE_INTERVAL_S = 5.0

Clock = Callable[[], float]


PIPE_COLUMNS: Final = 200
"""Of a table that no terminal shows: whoever reads it wants it whole."""


def out() -> Console:
    """Results: stdout."""
    return _console(Console(highlight=False))


def err() -> Console:
    """What is told on the way: stderr."""
    return _console(Console(stderr=True, highlight=False))


def table(rows: Iterator[Sequence[str]]) -> Table:
    """The first row are headings; the first column holds names, the others numbers."""
    drawn_table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for number, name in enumerate(next(rows)):
        justify: JustifyMethod = "right" if number else "left"
        drawn_table.add_column(Text(name), justify=justify, no_wrap=True)
    for row in rows:
        drawn_table.add_row(*map(Text, row))
    return drawn_table


def _console(console: Console) -> Console:
    """Wrap lines at words on a terminal, and not at all elsewhere."""
    if not console.is_terminal:
        console.soft_wrap = True
        console.width = PIPE_COLUMNS
    return console


@contextmanager
def drawn(console: Console) -> Iterator[progress.Progress]:
    """Give a `Progress` that is drawn as bars on a terminal, and as a few lines elsewhere."""
    if not console.is_terminal:
        yield Lines(console, time.monotonic)
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield Bars(bars)


class TimeColumn(TimeElapsedColumn):
    """The time that a step still takes, and in the end the time that it took."""

    def render(self, task: Task) -> Text:
        """The time since its start, too, where what is left is not known yet."""
        left_s = None if task.finished else task.time_remaining
        return super().render(task) if left_s is None else Text(left(left_s), "dim")


def left(seconds: float) -> str:
    """Say a time that is only guessed: no closer than a second."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s left" if minutes else f"{rest} s left"


class Bars:
    """A bar for each step; a finished one stays."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, int] = {}

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Move the step's bar."""
        if step not in self._tasks:
            self._tasks[step] = self._bars.add_task(escape(step), total=total, note="")
        task = self._tasks[step]
        self._bars.update(self._bars.tasks[task].id, completed=done, total=total)
        if note:
            self._bars.update(self._bars.tasks[task].id, note=escape(note))


class Lines:
    """A line when a step is finished, and one every few seconds in between."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._began: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def __call__(self, step: str, done: int, total: int, note: str = "") -> None:
        """Print the step's state, when it is time to."""
        now = self._clock()
        began = self._began.setdefault(step, now)
        last = self._told.setdefault(step, now)
        if done < total and now - last < LINE_INTERVAL_S:
            return
        if self._told[step] == float("inf"):
            return
        self._told[step] = float("inf") if done >= total else now
        took_s = now - began
        ahead = f", {left(took_s * (total - done) / done)}" if 0 < done < total else ""
        tail = f"  {note}" if note else ""
        self._console.print(f"  {step}  {done}/{total}  {took_s:.1f} s{ahead}{tail}", markup=False)
