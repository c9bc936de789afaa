"""A figure, what it must reach, and the table of all of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, as it is printed, beside its target."""

    what: str
    measured: str
    target: str
    reached: bool

    def line(self) -> str:
        """A row of the table."""
        reached = "yes" if self.reached else "**no**"
        return f"| {self.what} | {self.measured} | {self.target} | {reached} |"


def at_least(what: str, value: float, target: float, note: str = "") -> Figure:
    """The more the better."""
    return Figure(what, f"{value:.4f}{note}", f"≥ {target:.4g}", value >= target)


def at_most(what: str, value: float, target: float, unit: str = "", note: str = "") -> Figure:
    """The less the better."""
    return Figure(what, f"{value:.3g}{unit}{note}", f"≤ {target:.4g}{unit}", value <= target)


def equal(what: str, value: float, target: float) -> Figure:
    """Nothing but this will do."""
    return Figure(what, f"{value:g}", f"{target:g}", value == target)


def table(figures: Iterable[Figure]) -> Iterator[str]:
    """Markdown."""
    yield "| what | measured | target | reached |"
    yield "|---|---|---|---|"
    for figure in figures:
        yield figure.line()
