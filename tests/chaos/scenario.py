"""What a scenario is: its name, its load, where it runs, and the figures that come of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Load:
    """How many posts arrive, evenly, over how long; and how often the fault comes, at least."""

    posts: int
    seconds: float
    faults: int = 1
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Place:
    """Where a scenario runs: a name for its topics, a folder of its own, a Kafka to leave whole.

    A scenario that does harm to a broker starts one of its own: `tests.chaos.own_kafka`.
    """

    name: str
    folder: Path
    servers: str


@dataclass
class Figures:
    """What came of one scenario. Whatever must hold and does not is among `faults`."""

    posts: int = 0
    lost: int = 0
    twice: int = 0
    uncommitted: int = 0
    drained_s: float = 0.0
    hits: dict[str, int] = field(default_factory=dict)
    """What the fault did, counted; 0 of anything means that it has not hit."""
    shown: dict[str, str] = field(default_factory=dict)
    """The scenario's own figures."""
    faults: list[str] = field(default_factory=list)

    def demand(self, truth: object, otherwise: str) -> None:
        """Note a fault unless something holds."""
        if not truth:
            self.faults.append(otherwise)

    def hit(self, name: str, count: int = 1) -> None:
        """Count what the fault did."""
        self.hits[name] = self.hits.get(name, 0) + count

    @property
    def failures(self) -> list[str]:
        """All that does not hold, the proof that the fault has hit included."""
        found = [f"{count} {name}" for name, count in self.outcome.items() if count]
        if not self.hits and not self.uncommitted:
            found.append("nothing shows that the fault has hit")
        found += [
            f"0 {name}: the fault has not hit" for name, hits in self.hits.items() if not hits
        ]
        return found + self.faults

    @property
    def outcome(self) -> dict[str, int]:
        """What must be 0, always."""
        return {"lost": self.lost, "twice": self.twice}


Run = Callable[[Place, Load], Figures]


def nothing_needed() -> str:
    """Give no reason against running it."""
    return ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A line of the table.

    `says` is its first cell in docs/faults.md. `needs` says what this machine lacks for it, empty
    when it lacks nothing: then it is refused by name, and never left out in silence.
    """

    name: str
    says: str
    run: Run
    full: Load
    short: Load
    needs: Callable[[], str] = nothing_needed
