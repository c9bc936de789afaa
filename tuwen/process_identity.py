"""Name a process so that its number, given to another one later, does not stand for it.

A pid alone is not enough to kill by: after a crash or a reboot it may be anybody's. A pid with
the moment at which its process started is.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

_POLL_S: Final = 0.02


class ProcessIdentity(msgspec.Struct, frozen=True):
    """A pid, and when its process started, in words that only equality is asked of."""

    pid: int
    started: str


def identify(pid: int) -> ProcessIdentity | None:
    """Give the identity of a running process; None when there is none."""
    started = _started_linux(pid) if sys.platform == "linux" else _started_elsewhere(pid)
    return None if started is None else ProcessIdentity(pid, started)


def is_running(process: ProcessIdentity) -> bool:
    """Say whether this very process still runs."""
    return identify(process.pid) == process


def end(process: ProcessIdentity, grace_s: float, kill_wait_s: float = 5.0) -> bool:
    """Ask a process to end, kill it after `grace_s`; True once it is gone.

    Never signals a process that merely has the same pid.
    """
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, kill_wait_s)):
        if not is_running(process):
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
        deadline = time.monotonic() + wait_s
        while is_running(process) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
    return not is_running(process)


def children(parent: int) -> Sequence[int]:
    """Give the child processes of a process, the oldest first."""
    listed = list(Path(f"/proc/{parent}/task").glob("*/children"))
    if listed:
        return sorted(int(pid) for each in listed for pid in each.read_text().split())
    found = subprocess.run(
        ["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False
    )
    return sorted(int(pid) for pid in found.stdout.split())


def _started_linux(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the name, in parentheses, may hold anything; after it come state (3) ... start (22).
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}+{fields[19]}"


def _started_elsewhere(pid: int) -> str | None:
    asked = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
