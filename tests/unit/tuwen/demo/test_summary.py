import io
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from inference.bundle import load
from schemas.verdict import ModelName, Source, Verdict
from tests.tiny_bundle import write_tiny_bundle
from tuwen.demo.layout import DemoSettings, Layout
from tuwen.demo.outcome import ReadBack, judge
from tuwen.demo.posts import DemoPost
from tuwen.demo.reconcile import Answer
from tuwen.demo.show import Events
from tuwen.demo.summary import Run, figures, next_steps, show, write

MODEL = ModelName("demo", "1", "soft-voting")
POSTS = [DemoPost("a", "{}", "x", "积极"), DemoPost("b", "{}", "x", "消极")]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run with two posts, one of them labelled wrong."""
    found = ReadBack()
    for offset, post in enumerate(POSTS):
        source = Source("posts", 0, offset)
        scores = {"积极": 1.0}
        found.verdicts[post.id] = Verdict(
            post.id, "积极", scores, ("text", "image"), None, MODEL, source
        )
        found.answers.append(Answer(post.id, source, "verdict"))
    write_tiny_bundle(tmp_path / "bundle")
    layout = Layout(tmp_path)
    layout.run.mkdir()
    return Run(
        settings=DemoSettings(folder=tmp_path, burst_posts=100),
        layout=layout,
        posts=POSTS,
        found=found,
        sum=judge(POSTS, found),
        events=Events(burst_began_s=1.0, drained_s=3.0, lag_max=77, calm_latencies=[5]),
        latencies_ms=[5, 900],
        manifest=load(layout.bundle).manifest,
        servers="127.0.0.1:1234",
        metrics_url="http://127.0.0.1:1/metrics",
    )


def shown(run: Run) -> str:
    """What is printed at the end."""
    console = Console(file=io.StringIO(), width=200)
    show(console, run)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_figures_are_kept_for_a_program(run: Run) -> None:
    """Those that were printed."""
    write(run)

    kept = msgspec.json.decode(run.layout.summary.read_bytes())
    assert kept == msgspec.to_builtins(figures(run))
    assert kept["reconciled"]
    assert kept["accuracy"] == {"fused": {"right": 1, "posts": 2}}
    assert kept["burst_per_s"] == 50
    assert kept["latency_ms"] == {"p50_ms": 5, "p99_ms": 900}


def test_a_run_that_reconciles_says_so_and_where_everything_is(run: Run) -> None:
    """Sum, accuracy, speed, places, and what to try next."""
    said = shown(run)

    for words in (
        "It reconciles: none lost, none twice",
        "2 verdicts + 0 dead letters = 2, of 2 posts sent",
        "0.500",
        "50 posts a second, largest lag 77",
        "p50 5 ms, p99 900 ms",
    ):
        assert words in said
    for place in ("report.html", "summary.json", "bundle", "worker.log", "metrics.txt"):
        assert place in said


def test_a_run_that_does_not_says_what_is_wrong(run: Run) -> None:
    """With the ids."""
    del run.found.answers[0]
    said = shown(replace(run, sum=judge(POSTS, run.found)))

    assert "It does not reconcile" in said
    assert "1 lost: a" in said


def test_what_to_try_next_depends_on_what_still_runs(run: Run) -> None:
    """Commands that work as they stand, in the folder that was named."""
    assert f"tuwen demo --keep --state {run.layout.root}" in "\n".join(next_steps(run))
    kept = replace(run, settings=replace(run.settings, ending="keep"))
    assert next_steps(kept)[-1] == f"tuwen demo stop --state {run.layout.root}"
    assert "127.0.0.1:1234" in "\n".join(next_steps(kept))
