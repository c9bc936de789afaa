"""Run scenarios on a Kafka of their own, print the figures, and write them down.

    python -m tests.chaos [--short] [--write] [SCENARIO…]

Without names all run. A full run writes the rows of its scenarios into docs/faults.md and leaves
all others as they are; with --short it only prints, unless --write is given and no full run has
its row there. Exit 0 when everything held; a scenario that this machine cannot run is refused by
name, and that is no success.

A scenario is one module of `tests.chaos.scenarios` and one line in `tests.chaos.table`:

    Scenario("name", "what is done", module.run, full=Load(…), short=Load(…), needs=…)

    def run(place: Place, load: Load) -> Figures      where, how much; what came of it

`tests.chaos.trial` runs workers under load from start to books, so that a module holds the fault
alone. Of `Figures`, `hits` proves that the fault hit (or aborted rows do), `shown` are the
scenario's own figures, and `demand` notes what must hold and does not. What must be 0 always,
`lost` and `twice`, comes from `tests.chaos.oracle`, which reads by another client.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console

from tests.chaos import document
from tests.chaos.fleet import ROOT
from tests.chaos.scenario import Figures, Place, Scenario
from tests.chaos.table import SCENARIOS
from tuwen import local_kafka

DOCUMENT: Final = ROOT / "docs" / "faults.md"


def main(words: Sequence[str]) -> int:
    """Run, print, and write; exit 1 when a figure does not hold, or a scenario is refused."""
    flags = {word for word in words if word.startswith("--")}
    names = [word for word in words if word not in flags]
    known = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [*(set(names) - known.keys()), *(flags - {"--short", "--write"})]:
        sys.exit(f"no {', '.join(unknown)}: there are --short, --write, {', '.join(known)}")
    chosen = [known[name] for name in names] or list(SCENARIOS)
    short = "--short" in flags
    console = Console(highlight=False, soft_wrap=True)
    passed = True
    with tempfile.TemporaryDirectory(prefix="tuwen-chaos-") as scratch:
        broker = local_kafka.start(Path(scratch) / "kafka")
        try:
            for scenario in chosen:
                figures = run(scenario, broker.bootstrap_servers, Path(scratch), short)
                show(console, scenario, figures)
                passed &= not figures.failures
                if not figures.failures and (not short or "--write" in flags):
                    document.write(DOCUMENT, scenario, figures, short, _commit())
        finally:
            local_kafka.erase(Path(scratch) / "kafka")
    return 0 if passed else 1


def _commit() -> str:
    """Name the state that runs; rows that were written meanwhile are no part of it."""
    head = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--", ".", f":!{DOCUMENT.relative_to(ROOT)}")
    return f"{head}-dirty" if changed else head


def _git(*words: str) -> str:
    said = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip()


def run(scenario: Scenario, servers: str, folder: Path, short: bool) -> Figures:
    """Run one scenario in a folder of its own, or say what this machine lacks for it."""
    if lacking := scenario.needs():
        return Figures(faults=[f"refused: {lacking}"])
    own = folder / scenario.name
    own.mkdir()
    place = Place(f"chaos-{scenario.name}", own, servers)
    try:
        return scenario.run(place, scenario.short if short else scenario.full)
    except AssertionError as broken:
        return Figures(faults=[f"broke off: {broken}"])


def show(console: Console, scenario: Scenario, figures: Figures) -> None:
    """Print one row as soon as it is known, and all that did not hold."""
    console.print(f"{scenario.name}: {scenario.says}", style="bold")
    told = zip(document.COLUMNS[1:-1], document.cells(scenario, figures)[1:], strict=True)
    console.print("  " + "; ".join(f"{column}: {cell}" for column, cell in told))
    for failure in figures.failures:
        console.print(f"  {failure}", style="red")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
