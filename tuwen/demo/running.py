"""What the demo has started, so that all of it is ended: by the demo, or by whoever comes next."""

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from tuwen import local_kafka
from tuwen.demo.layout import Layout
from tuwen.failures import Refused
from tuwen.process_identity import ProcessIdentity, children, end, identify, is_running

STOP_S: Final = 12.0
"""A worker has 5 s to finish and commit, and is ended by 10 s."""


@contextlib.contextmanager
def exclusively(layout: Layout) -> Iterator[None]:
    """Let one demo at a time use the folder; the system lets go when the holder dies.

    Raises:
        Refused: another demo uses it.
    """
    layout.root.mkdir(parents=True, exist_ok=True)
    with (layout.root / "lock").open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise Refused(
                f"another demo runs in {layout.root}: wait for its end, or name another --state"
            ) from taken
        yield


class Started(msgspec.Struct, frozen=True):
    """A process group that was started; the leader stands for all of it."""

    name: str
    leader: ProcessIdentity


class Running:
    """The children of a demo, each the leader of a process group of its own.

    A terminal's Ctrl-C goes to the demo alone, which ends them in order. They are written down,
    so that after a kill -9 of the demo `tuwen demo stop` and the next demo find them.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._started: list[Started] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        stdout: Literal["pipe", "log"] = "log",
    ) -> subprocess.Popen[bytes]:
        """Start a child; what it says goes to the log, or its stdout to who reads the pipe."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as written:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout == "pipe" else written,
                stderr=written,
                env=environment,
                start_new_session=True,
            )
        leader = identify(child.pid) or ProcessIdentity(child.pid, "ended")
        self._started.append(Started(name, leader))
        self._write()
        return child

    def end(self, child: subprocess.Popen[bytes], grace_s: float = STOP_S) -> int:
        """Ask a child to stop, kill its group when it does not; give its exit code."""
        if child.poll() is None:
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(grace_s)
        kill_group(child.pid)
        code = child.wait()
        if child.stdout is not None:
            child.stdout.close()
        self._started = [one for one in self._started if one.leader.pid != child.pid]
        self._write()
        return code

    def kill_all(self) -> None:
        """Kill everything at once: the second Ctrl-C."""
        for one in self._started:
            if is_running(one.leader):
                # Workers lead groups of their own.
                for pid in (*children(one.leader.pid), one.leader.pid):
                    kill_group(pid)
        running = local_kafka.status(self._layout.kafka)
        if running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running.pid, signal.SIGKILL)

    def _write(self) -> None:
        self._layout.root.mkdir(parents=True, exist_ok=True)
        self._layout.running.write_bytes(msgspec.json.encode(self._started))


def stop(layout: Layout) -> Sequence[str]:
    """End what an earlier demo left running: workers, then Kafka; give what was ended."""
    ended = []
    for one in reversed(_recorded(layout)):
        if is_running(one.leader):
            end(one.leader, STOP_S)
            kill_group(one.leader.pid)
            ended.append(one.name)
    layout.running.unlink(missing_ok=True)
    if local_kafka.stop(layout.kafka):
        ended.append("Apache Kafka")
    return ended


def kill_group(leader: int) -> None:
    """Kill what is left of a process group; its number stays taken while a member lives."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _recorded(layout: Layout) -> Sequence[Started]:
    try:
        return msgspec.json.decode(layout.running.read_bytes(), type=list[Started])
    except (FileNotFoundError, msgspec.DecodeError):
        return []
