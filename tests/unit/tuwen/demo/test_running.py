import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tuwen.demo.layout import Layout
from tuwen.demo.running import Running, exclusively, stop
from tuwen.demo.workers import assigned
from tuwen.failures import Refused

STUBBORN = """\
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("ready", flush=True)
time.sleep(60)
"""


def start(running: Running, folder: Path) -> "subprocess.Popen[bytes]":
    """Start a child that does not end when asked, and has a child of its own."""
    child = running.start(
        "stubborn", [sys.executable, "-c", STUBBORN], folder / "log", os.environ, "pipe"
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    return child


def gone(pids: list[int]) -> bool:
    """Whether none of the processes is left."""
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    alive = psutil.wait_procs(left, timeout=5)[1]
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def family(child: "subprocess.Popen[bytes]") -> list[int]:
    """The process and its children."""
    return [child.pid, *(p.pid for p in psutil.Process(child.pid).children())]


def test_a_child_that_does_not_end_is_killed_with_all_its_own(tmp_path: Path) -> None:
    """After its grace, and none of its group is left."""
    running = Running(Layout(tmp_path))
    child = start(running, tmp_path)
    pids = family(child)

    code = running.end(child, grace_s=0.2)

    assert code == -9
    assert gone(pids)


def test_all_are_killed_at_once(tmp_path: Path) -> None:
    """As the second Ctrl-C asks."""
    running = Running(Layout(tmp_path))
    child = start(running, tmp_path)
    pids = family(child)

    running.kill_all()

    assert child.wait(5) == -9
    assert gone(pids)
    running.end(child)


def test_what_is_written_down_can_be_stopped_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the demo itself was killed; and a second time there is nothing to stop."""
    monkeypatch.setattr("tuwen.demo.running.STOP_S", 0.2)
    layout = Layout(tmp_path)
    child = start(Running(layout), tmp_path)
    pids = family(child)

    assert stop(layout) == ["stubborn"]

    child.wait(5)
    assert gone(pids)
    assert stop(layout) == []
    assert child.stdout is not None
    child.stdout.close()


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused, and may go on when the first has ended."""
    layout = Layout(tmp_path)
    with (
        exclusively(layout),
        pytest.raises(Refused, match="another demo runs"),
        exclusively(layout),
    ):
        pass
    with exclusively(layout):
        assert (tmp_path / "lock").exists()


def test_partitions_are_summed_over_all_workers() -> None:
    """Other metrics count for nothing."""
    page = (
        "# TYPE tuwen_partitions_assigned gauge\n"
        'tuwen_partitions_assigned{slot="0"} 2.0\n'
        'tuwen_partitions_assigned{slot="1"} 4.0\n'
        'tuwen_posts_total{slot="1"} 9.0\n'
    )
    assert assigned(page) == 6
    assert assigned("") == 0
