"""Draw a snapshot: rates, lag, shares of the labels, dead letters, the last posts."""

from collections.abc import Mapping, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tuwen.live.tally import Latency, Seen, Snapshot

TICKS: Final = "▁▂▃▄▅▆▇█"
COLOURS: Final = ("green", "yellow", "red", "cyan", "magenta", "blue")
KNOWN_COLOURS: Final = {"积极": "green", "中性": "yellow", "消极": "red"}
SPARK_CELLS: Final = 36
NAMES_CELLS: Final = 12
UNLABELLED: Final = "no label"
"""What stands in place of a label where a verdict has none."""


def render(snapshot: Snapshot, recent: int = 6) -> RenderableType:
    """Draw all of it; `recent` is how many of the last posts."""
    return Group(
        figures(snapshot), Text(), posts_table(snapshot.recent[-recent:], list(snapshot.labels))
    )


def figures(snapshot: Snapshot) -> RenderableType:
    """Draw the figures: one line each."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="dim", no_wrap=True, width=NAMES_CELLS)
    table.add_column(overflow="fold", ratio=1)
    rate = f"{snapshot.verdicts:>7,}  {snapshot.per_second:>7,.0f}/s  "
    table.add_row("verdicts", Text(rate).append(spark(snapshot.rates), "green"))
    lag = "–" if snapshot.lag is None else f"{snapshot.lag:,}"
    table.add_row("lag", Text(f"{lag:>7} posts       ").append(spark(snapshot.lags), "yellow"))
    table.add_row("latency", latency(snapshot.latency))
    table.add_row("labels", shares(snapshot.labels, snapshot.unlabelled))
    table.add_row("missing", reasons(snapshot.missing))
    table.add_row("dead letters", reasons(snapshot.rejected))
    return table


def latency(figure: Latency | None) -> Text:
    """Write the percentiles."""
    if figure is None:
        return Text("–")
    return Text(f"p50 {figure.p50_ms:,} ms   p99 {figure.p99_ms:,} ms   from post to verdict")


def shares(labels: Mapping[str, int], unlabelled: int = 0) -> Text:
    """Draw the share of each label as a bar of coloured cells, and of no label where there is."""
    total = sum(labels.values()) + unlabelled
    drawn = {**labels, UNLABELLED: unlabelled} if unlabelled else labels
    line = Text()
    for name, count in drawn.items():
        share = count / total if total else 0
        line.append("█" * round(share * 24), colour(name, list(labels)))
        line.append(f" {name} {share:.0%}  ")
    return line


def reasons(counts: Mapping[str, int]) -> Text:
    """Write counts by reason, the most frequent first, on as many lines as they need."""
    if not counts:
        return Text("0")
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{reason} {count}" for reason, count in ordered]
    return Text(f"{sum(counts.values()):,}: " + " · ".join(parts))


def posts_table(seen: Sequence[Seen], labels: Sequence[str]) -> RenderableType:
    """List posts with their label, its probability, what was used, and the text."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for one in seen:
        verdict = one.verdict
        table.add_row(
            Text(verdict.label or UNLABELLED, colour(verdict.label, labels)),
            scores(verdict.scores, labels),
            "+".join(verdict.used),
            one.text or Text("no text", "dim"),
        )
    return table


def scores(values: Mapping[str, float], labels: Sequence[str]) -> Text:
    """Write the probability of each label, in that label's colour."""
    line = Text()
    for name, probability in values.items():
        line.append(f"{probability:.2f} ".removeprefix("0"), colour(name, labels))
    return line


def colour(label: str | None, labels: Sequence[str]) -> str:
    """Give each label its own colour, and none to no label."""
    if label in KNOWN_COLOURS:
        return KNOWN_COLOURS[label]
    return COLOURS[labels.index(label) % len(COLOURS)] if label in labels else "white"


def spark(values: Sequence[int], cells: int = SPARK_CELLS) -> str:
    """Draw the last values as a line of ticks, the largest at full height."""
    shown = values[-cells:]
    largest = max(shown, default=0)
    if not largest:
        return TICKS[0] * len(shown)
    top = len(TICKS) - 1
    return "".join(TICKS[-(-value * top // largest)] for value in shown)
