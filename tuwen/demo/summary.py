"""Sum a run up: does it reconcile, how right, how fast, where everything is, what to try next."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from schemas.manifest import Manifest
from tuwen.demo.layout import FOLDER, GROUP, DemoSettings, Layout
from tuwen.demo.outcome import ReadBack, accuracy, bad_table
from tuwen.demo.posts import DemoPost
from tuwen.demo.reconcile import Reconciliation
from tuwen.demo.show import Events
from tuwen.live.tally import percentiles

USED: Final = {"text": "text alone", "image": "image alone", "text and image": "fused"}


@dataclass(frozen=True, slots=True)
class Run:
    """All that a summary is made of."""

    settings: DemoSettings
    layout: Layout
    posts: Sequence[DemoPost]
    found: ReadBack
    sum: Reconciliation
    events: Events
    latencies_ms: Sequence[int]
    manifest: Manifest
    servers: str
    metrics_url: str


def figures(run: Run) -> dict[str, Any]:
    """Give the figures for a program; `summary.json` holds them."""
    events, latency = run.events, percentiles(run.latencies_ms)
    calm = percentiles(events.calm_latencies)
    return {
        "reconciled": run.sum.holds,
        "sent": run.sum.sent,
        "verdicts": run.sum.verdicts,
        "dead_letters": run.sum.dead_letters,
        "lost": list(run.sum.lost),
        "twice": list(run.sum.twice),
        "unsent": list(run.sum.unsent),
        "misjudged": list(run.sum.misjudged),
        "accuracy": {
            USED[used]: {"right": right, "posts": posts}
            for used, (right, posts) in accuracy(run.posts, run.found).items()
        },
        "evaluation": dict(run.manifest.evaluation.accuracy),
        "burst_per_s": _burst_rate(run),
        "lag_max": events.lag_max,
        "latency_ms": latency and asdict(latency),
        "calm_latency_ms": calm and asdict(calm),
    }


def _burst_rate(run: Run) -> float | None:
    """Posts of the burst per second, from its first post to the last answer."""
    seconds = run.events.drained_s - run.events.burst_began_s
    return round(run.settings.burst_posts / seconds, 1) if seconds > 0 else None


def write(run: Run) -> None:
    """Keep the figures."""
    encoded = msgspec.json.format(msgspec.json.encode(figures(run)), indent=2)
    run.layout.summary.write_bytes(encoded + b"\n")


def show(console: Console, run: Run) -> None:
    """Print all of it."""
    _show_sum(console, run.sum)
    _show_bad(console, run)
    _show_accuracy(console, run)
    _show_speed(console, run)
    _show_places(console, run)


def show_in_brief(console: Console, run: Run) -> None:
    """Print what came of the posts: the sum, how right, how fast."""
    _show_sum(console, run.sum)
    _show_accuracy(console, run)
    _show_speed(console, run)


def _show_sum(console: Console, total: Reconciliation) -> None:
    if total.holds:
        console.print("  [bold green]It reconciles: none lost, none twice[/]")
    else:
        console.print("  [bold red]It does not reconcile[/]")
    for fault in total.faults:
        console.print(f"    {fault}", markup=False)
    console.print(
        f"    {total.verdicts:,} verdicts + {total.dead_letters:,} dead letters "
        f"= {total.verdicts + total.dead_letters:,}, of {total.sent:,} posts sent"
    )


def _show_bad(console: Console, run: Run) -> None:
    table = Table.grid(padding=(0, 2))
    for kind, fate, reason in bad_table(run.posts, run.found):
        table.add_row(f"    {kind}", fate, f"[dim]{reason}[/]")
    console.print("\n  The bad ones among them (degraded: labelled on the text alone):")
    console.print(table)


def _show_accuracy(console: Console, run: Run) -> None:
    console.print("\n  Right verdicts, against what each post was made to say:")
    counts = accuracy(run.posts, run.found)
    table = Table.grid(padding=(0, 2))
    for used, name in USED.items():
        right, posts = counts.get(used, (0, 0))
        share = f"{right / posts:.3f}" if posts else "–"
        table.add_row(f"    {name}", f"[bold]{share}[/]", f"[dim]of {posts:,} posts[/]")
    console.print(table)
    held_out = ", ".join(f"{k} {v:.3f}" for k, v in run.manifest.evaluation.accuracy.items())
    console.print(f"    [dim]complete posts of the test half: {held_out}[/]")


def _show_speed(console: Console, run: Run) -> None:
    console.print("\n  Speed:")
    rate = _burst_rate(run)
    table = Table.grid(padding=(0, 2))
    table.add_row(
        "    burst", f"{rate or 0:,.0f} posts a second, largest lag {run.events.lag_max:,}"
    )
    table.add_row("    post to verdict, calm", _latency(run.events.calm_latencies))
    table.add_row("    with kill and burst", _latency(run.latencies_ms))
    console.print(table)


def _latency(latencies_ms: Sequence[int]) -> str:
    found = percentiles(latencies_ms)
    return "–" if found is None else f"p50 {found.p50_ms:,} ms, p99 {found.p99_ms:,} ms"


def _show_places(console: Console, run: Run) -> None:
    console.print("\n  Where things are:")
    table = Table.grid(padding=(0, 2))
    for what, place in places(run.layout).items():
        table.add_row(f"    {what}", f"[cyan]{place}[/]")
    console.print(table)
    console.print("\n  What to try next:")
    for line in next_steps(run):
        console.print(f"    {line}", markup=False)


def places(layout: Layout) -> Mapping[str, str]:
    """Say where the run's things lie."""
    return {
        "report": str(layout.report),
        "figures": str(layout.summary),
        "bundle": str(layout.bundle),
        "logs": f"{layout.worker_log}, {layout.build_log}",
        "metrics": str(layout.metrics),
        "posts": f"{layout.sent}, {layout.corpus}",
    }


def next_steps(run: Run) -> Sequence[str]:
    """Suggest commands that work as they stand."""
    bundle = run.layout.bundle
    state = "" if run.layout.root == FOLDER else f" --state {run.layout.root}"
    if run.settings.ending == "keep":
        return [
            f"curl {run.metrics_url}",
            f"export TUWEN_BOOTSTRAP_SERVERS={run.servers} TUWEN_GROUP={GROUP}",
            "tuwen watch",
            """echo '{"id": "mine", "text": "今天真开心"}' | tuwen send -""",
            "tuwen dead-letters list",
            f"tuwen demo stop{state}",
        ]
    return [
        f"tuwen classify --bundle {bundle} --text 今天真开心",
        f"tuwen bundle show {bundle}",
        f"tuwen demo --keep{state}     # leaves all of it running, to look at",
    ]
