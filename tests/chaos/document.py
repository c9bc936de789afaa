"""Write the rows of docs/faults.md: those of the scenarios that ran, each with its provenance.

Sections after the table are written by hand, and kept.
"""

import datetime as dt
import re
import sys
from pathlib import Path
from typing import Final

from tests.chaos.fleet import hardware
from tests.chaos.scenario import Figures, Scenario
from tests.chaos.table import SCENARIOS

COLUMNS: Final = (
    "scenario",
    "posts",
    "lost",
    "twice",
    "aborted rows",
    "the fault",
    "what it cost",
    "run",
)
HEAD: Final = """\
# What faults cost

Written by `make chaos`: a run writes the rows of its scenarios, and leaves the others as they are.

Every record of the posts' topic is looked up among verdicts and dead letters, by topic, partition
and offset as well as by the post's id, with a client that shares no code with the worker.
*Aborted rows* are what `read_uncommitted` shows beyond `read_committed`: outcomes that were
written and then aborted. They, or the counts of *the fault*, prove that it hit; a run in which it
did not counts as failed, and writes nothing.
Of a replay, what came back on the posts' topic is compared with what had failed: key, value,
headers, timestamp and partition.
*Drained* is the time from the last post to the last outcome.

"""
_ROW: Final = re.compile(r"^\| `([\w-]+)`", re.MULTILINE)
_SHORT: Final = "ARGS='--short "


def write(file: Path, scenario: Scenario, figures: Figures, short: bool, commit: str) -> None:
    """Put the row of this scenario in, and keep all others; a short run leaves a full one's."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    rows = {found[1]: line for line in text.splitlines() if (found := _ROW.match(line))}
    if short and scenario.name in rows and _SHORT not in rows[scenario.name]:
        return
    row = (*cells(scenario, figures), _provenance(scenario, short, commit))
    rows[scenario.name] = f"| `{scenario.name}`: {' | '.join(row)} |"
    lines = [rows[each.name] for each in SCENARIOS if each.name in rows]
    table = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|", *lines]
    _, heading, rest = text.partition("\n## ")
    file.write_text(HEAD + "\n".join(table) + "\n" + heading + rest, encoding="utf-8")


def cells(scenario: Scenario, figures: Figures) -> tuple[str, ...]:
    """Give the figures as text, without where they come from."""
    cost = {"drained in": f"{figures.drained_s:.1f} s", **figures.shown}
    return (
        scenario.says,
        f"{figures.posts:,}",
        str(figures.lost),
        str(figures.twice),
        f"{figures.uncommitted:,}",
        ", ".join(f"{count:,} {name}" for name, count in figures.hits.items()) or "–",
        ", ".join(f"{name} {value}" for name, value in cost.items()),
    )


def _provenance(scenario: Scenario, short: bool, commit: str) -> str:
    words = f"{_SHORT}{scenario.name}'" if short else f"ARGS={scenario.name}"
    python = ".".join(map(str, sys.version_info[:3]))
    today = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    return f"`make chaos {words}`, {hardware()}, Python {python}, {today}, commit {commit}"
