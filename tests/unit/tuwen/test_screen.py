import io

from rich.console import Console
from rich.progress import Progress

from tuwen.screen import Lines, TimeColumn, drawn


class Clock:
    """A clock that goes where it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Give the time."""
        return self.now


def told(console: Console) -> list[str]:
    """The lines that were printed."""
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def test_without_a_terminal_a_step_is_told_now_and_then_and_at_its_end() -> None:
    """A log of CI has a line every five seconds, and not one for each image."""
    console, clock = Console(file=io.StringIO(), width=80), Clock()
    lines = Lines(console, clock)
    for done in range(1, 101):
        clock.now = done / 10
        lines("drawing", done, 100, "note" if done == 100 else "")
    lines("drawing", 100, 100, "again")

    assert told(console) == [
        "  drawing  51/100  5.0 s, 5 s left",
        "  drawing  100/100  9.9 s  note",
    ]


def test_a_bar_says_how_long_it_will_take_until_it_is_full() -> None:
    """As far as it can be guessed from what was done; then how long it took."""
    clock = Clock()
    bars = Progress(TimeColumn(), get_time=clock)
    step = bars.add_task("drawing", total=400)
    said = []
    for clock.now, done in ((0.0, 0), (1.0, 4), (2.0, 8), (4.0, 400)):
        bars.update(step, completed=done)
        said.append(TimeColumn().render(bars.tasks[0]).plain)

    assert said == ["0:00:00", "0:00:01", "1 min 38 s left", "0:00:04"]


def test_with_a_terminal_there_are_bars() -> None:
    """Each step has one, and keeps it."""
    console = Console(file=io.StringIO(), width=100, force_terminal=True)
    with drawn(console) as progress:
        progress("drawing", 1, 2)
        progress("fitting [x]", 1, 1, "C = 1")
        progress("drawing", 2, 2)

    shown = "\n".join(told(console))
    assert "drawing" in shown
    assert "fitting [x]" in shown
    assert "C = 1" in shown
