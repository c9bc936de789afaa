"""Run every scenario on a Kafka of its own, print the figures, and write them down.

    python -m tests.chaos [--short] [SCENARIO…]

A full run of all writes docs/faults.md; others only print. Exit 0 when nothing was lost or twice.
"""

import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.fleet import ROOT, hardware
from tests.chaos.replaying import replay_killed
from tests.chaos.scenarios import MOVED_S_MAX, Figures, Load, kill_workers, poison, scale
from tests.chaos.topics import Topics
from tuwen import local_kafka

PARTITIONS = 8
FULL = {
    "kill": Load(20_000, 48.0),
    "scale": Load(9_000, 45.0),
    "replay": Load(10_000, 0.0),
    "poison": Load(20_000, 40.0),
}
SHORT = {
    "kill": Load(2_000, 14.0),
    "scale": Load(1_500, 12.0),
    "replay": Load(2_400, 0.0),
    "poison": Load(3_000, 6.0),
}
COLUMNS = (
    "scenario",
    "posts",
    "lost",
    "twice",
    "kills",
    "in commit",
    "uncommitted",
    "drained",
)
DOCUMENT = ROOT / "docs" / "faults.md"


def main(words: Sequence[str]) -> int:
    """Run, print, and write; exit 1 when a figure does not hold."""
    short = "--short" in words
    loads = SHORT if short else FULL
    names = [word for word in words if word != "--short"]
    if unknown := [name for name in names if name not in loads]:
        sys.exit(f"no scenario {', '.join(unknown)}: there are {', '.join(loads)}")
    chosen = {name: loads[name] for name in names} or loads
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="tuwen-chaos-") as scratch:
        folder = Path(scratch)
        broker = local_kafka.start(folder / "kafka")
        try:
            found = run(broker.bootstrap_servers, folder, chosen)
        finally:
            local_kafka.erase(folder / "kafka")
    console.print(table(found))
    for line in moves(found):
        console.print(line)
    for figures in found:
        for fault in figures.faults:
            console.print(f"{figures.name}: {fault}", style="red")
    passed = all(figures.passed for figures in found)
    if passed and chosen is FULL:
        DOCUMENT.write_text(document(found), encoding="utf-8")
        console.print(f"written to {DOCUMENT.relative_to(ROOT)}")
    return 0 if passed else 1


def run(servers: str, folder: Path, loads: dict[str, Load]) -> list[Figures]:
    """Run those scenarios, one after the other."""
    scenarios = {"kill": kill_workers, "scale": scale, "replay": replay_killed, "poison": poison}
    found = []
    for name, load in loads.items():
        own = folder / name
        own.mkdir()
        topics = Topics(servers, f"chaos-{name}", PARTITIONS)
        found.append(scenarios[name](topics, own, load))
    return found


def rows(found: Sequence[Figures]) -> list[tuple[str, ...]]:
    """Give the figures as text."""
    return [
        (
            each.name,
            f"{each.posts:,}",
            str(each.lost),
            str(each.twice),
            str(each.kills),
            str(each.kills_in_commit),
            str(each.uncommitted),
            f"{each.drained_s:.1f} s",
        )
        for each in found
    ]


def moves(found: Sequence[Figures]) -> list[str]:
    """Say how long partitions took to move, at worst."""
    lines = []
    for each in found:
        for name, seconds in each.moves_s.items():
            often = f" ({each.shared_again} of {each.kills} kills)" if each.kills else ""
            lines.append(f"Partitions moved {name} in {seconds:.1f} s at most{often}.")
    return lines


def table(found: Sequence[Figures]) -> Table:
    """Draw the figures."""
    drawn = Table(*COLUMNS)
    for row in rows(found):
        drawn.add_row(*row)
    return drawn


def document(found: Sequence[Figures]) -> str:
    """Write the figures down, with all that is needed to get them again."""
    lines = [
        "# What faults cost",
        "",
        "Every record of the posts' topic is looked up among verdicts and dead letters by topic,",
        "partition and offset, with a client that shares no code with the worker.",
        "*Uncommitted* rows are what `read_uncommitted` shows beyond `read_committed`: outcomes",
        "that were written and then aborted, so the faults did hit.",
        "Of a replay, what came back on the posts' topic is compared with what had failed: key,",
        "value, headers, timestamp and partition.",
        f"Partitions must move in {MOVED_S_MAX:.0f} s when a worker joins or leaves.",
        "After a kill they move when the worker has started again, unless the next kill is first.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
        *("| " + " | ".join(row) + " |" for row in rows(found)),
        "",
        *moves(found),
        "",
        f"`make chaos` on {hardware()}, Python {sys.version.split()[0]},",
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, commit {_commit()}.",
        "",
    ]
    return "\n".join(lines)


def _commit() -> str:
    answer = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return answer.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
