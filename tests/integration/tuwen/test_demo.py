"""The demo from end to end, small; and what it leaves behind however it ends: nothing."""

import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tests.integration.tuwen.small_demo import (
    BURST,
    STEADY,
    processes_of,
    small_settings,
    start_demo,
    write_made,
)
from tuwen.command import run as run_command
from tuwen.demo import run as demo
from tuwen.demo.outcome import ReadBack, read_back

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

DEMO_S = 90.0
ENDED_S = 30.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A demo's folder in which corpus and bundle are made; whatever a test leaves is ended."""
    made = tmp_path / "demo"
    write_made(made)
    yield made
    run_command(["demo", "stop", "--state", str(made)])


def finished(started: "subprocess.Popen[str]") -> str:
    """Wait for its end, and give what it printed."""
    try:
        said, _ = started.communicate(timeout=DEMO_S)
    except subprocess.TimeoutExpired:
        started.kill()
        said, _ = started.communicate()
        pytest.fail(f"the demo did not end:\n{said}")
    return said


def test_a_demo_reconciles_and_can_be_kept_and_stopped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker is killed on the way; every post has one answer; the bad ones have their fate."""
    started = start_demo(folder, "--keep")
    said = finished(started)

    assert started.returncode == 0, said
    assert "used again: nothing that it is made from has changed" in said
    assert "none lost, none twice" in said
    assert "killed" in said
    figures = json.loads((folder / "run" / "summary.json").read_bytes())
    assert figures["reconciled"]
    assert figures["sent"] == STEADY + BURST == figures["verdicts"] + figures["dead_letters"]
    assert figures["dead_letters"] == 15
    metrics = (folder / "run" / "metrics.txt").read_text(encoding="utf-8")
    assert 'tuwen_child_restarts_total{slot="parent"} 1.0' in metrics
    # It goes on running until it is told to stop.
    assert len(processes_of(folder)) >= 2
    capsys.readouterr()
    assert run_command(["demo", "stop", "--state", str(folder)]) == 0
    assert capsys.readouterr().out == "ended: workers, Apache Kafka\n"
    assert_nothing_runs(folder)


def test_a_demo_that_does_not_reconcile_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One verdict is taken away and another one comes twice: the number is right, all is wrong."""

    def tampered(*where: str) -> ReadBack:
        found = read_back(*where)
        verdicts = [answer for answer in found.answers if answer.kind == "verdict"]
        found.answers.remove(verdicts[0])
        found.answers.append(verdicts[1])
        return found

    monkeypatch.setattr(demo, "read_back", tampered)
    console = Console(file=io.StringIO(), width=100)

    code = demo.run(small_settings(folder), console)

    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue()
    assert code == 1
    assert "It does not reconcile" in said
    assert "1 lost: " in said
    assert "1 answered twice: " in said
    assert_nothing_runs(folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_demo_that_is_interrupted_leaves_nothing(folder: Path, number: signal.Signals) -> None:
    """In the middle of the posts, with Kafka and workers running."""
    started = start_demo(folder)
    wait_for((folder / "run" / "worker.log").exists, started)

    started.send_signal(number)

    assert "stopped, and nothing is left running" in finished(started)
    assert started.returncode == 1
    assert_nothing_runs(folder)


def test_the_second_interrupt_kills(folder: Path) -> None:
    """At once, without waiting for anybody to finish."""
    started = start_demo(folder)
    wait_for((folder / "run" / "worker.log").exists, started)

    started.send_signal(signal.SIGINT)
    time.sleep(0.3)  # two presses of a key
    began = time.monotonic()
    started.send_signal(signal.SIGINT)
    finished(started)

    assert time.monotonic() - began < 5
    assert started.returncode == 1
    assert_nothing_runs(folder)


def test_what_a_killed_demo_left_is_ended_by_the_next_stop(folder: Path) -> None:
    """A kill -9 of the demo itself leaves Kafka and workers behind, and a note of both."""
    started = start_demo(folder)
    wait_for((folder / "run" / "worker.log").exists, started)
    started.kill()
    finished(started)
    assert processes_of(folder)

    assert run_command(["demo", "stop", "--state", str(folder)]) == 0

    assert_nothing_runs(folder)


def wait_for(seen: object, started: "subprocess.Popen[str]") -> None:
    """Wait until something is there, while the demo runs."""
    assert callable(seen)
    deadline_s = time.monotonic() + DEMO_S
    while not seen():
        assert started.poll() is None, finished(started)
        assert time.monotonic() < deadline_s
        time.sleep(0.05)  # nothing to wait on: another process's file


def assert_nothing_runs(folder: Path) -> None:
    """No process of the demo is left; one that was killed may need a moment to be gone."""
    deadline_s = time.monotonic() + ENDED_S
    while (left := processes_of(folder)) and time.monotonic() < deadline_s:
        time.sleep(0.1)  # nothing to wait on: nobody's child
    assert left == []
