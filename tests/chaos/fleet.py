"""Workers in processes of their own: started, killed, stopped, and asked what they own."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.settings import WorkerSettings

ROOT = Path(__file__).parents[2]
STOP_S = 15.0
STEP_S = 0.02


@dataclass
class Fleet:
    """The workers of one group, by slot; whoever is started again takes the same slot."""

    settings: WorkerSettings
    folder: Path
    processes: dict[int, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    environments: dict[int, Mapping[str, str]] = field(default_factory=dict)
    logs: Path = field(init=False)

    def __post_init__(self) -> None:
        self.logs = self.folder

    def start(self, slot: int) -> float:
        """Start the worker of a slot, and say when."""
        with (self.logs / f"worker-{slot}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", str(slot), str(self.folder)],
                cwd=ROOT,
                env=os.environ | self.environments.get(slot, {}),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        assert process.stdin is not None
        process.stdin.write(self.settings.model_dump_json().encode() + b"\n")
        process.stdin.close()
        self.processes[slot] = process
        return time.time()

    def kill(self, slot: int) -> float:
        """End a worker without a word, and say when."""
        process = self.processes.pop(slot)
        process.kill()
        died_s = time.time()
        process.wait()
        return died_s

    def doom(self, slot: int, patience_s: float, step: str = "commit") -> float | None:
        """Have a worker die between flush and commit; say when, None when it did not."""
        doom = self.folder / f"die-{slot}"
        doom.write_text(step)
        process = self.processes[slot]
        try:
            code = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            doom.unlink(missing_ok=True)
            return None
        assert code == -signal.SIGKILL, self.log(slot)
        del self.processes[slot]
        return time.time()

    def hold(self, slot: int, steps: str, patience_s: float) -> bool:
        """Have a worker wait at the first of these steps, and then at all; False when it did not.

        It waits until `release`.
        """
        (self.folder / f"hold-{slot}").write_text(steps)
        held = self.folder / f"held-{slot}"
        return self._wait(lambda: time.time() if held.exists() else None, patience_s) is not None

    def release(self, slot: int, but: str = "") -> None:
        """Let a worker go on; where it waits at the step `but`, it stays."""
        hold = self.folder / f"hold-{slot}"
        if but:
            hold.write_text(but)
            return
        hold.unlink(missing_ok=True)
        (self.folder / f"held-{slot}").unlink(missing_ok=True)

    def raised(self, slot: int, step: str) -> list[str]:
        """Give what a step has raised so far in a slot's workers."""
        path = self.folder / f"raised-{slot}"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.startswith(f"{step} ")]

    def signal(self, slot: int, number: signal.Signals) -> None:
        """Send a signal to a slot's worker."""
        self.processes[slot].send_signal(number)

    def stop(self, slot: int) -> tuple[float, int]:
        """Stop a worker as an operator does; say when that began, and its exit code."""
        process = self.processes.pop(slot)
        told_s = time.time()
        process.terminate()
        try:
            return told_s, process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"slot {slot} did not stop: {self.log(slot)}") from None

    def end(self) -> None:
        """End all that is left."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def owned(self, slot: int) -> list[tuple[float, int]]:
        """Give when a slot's living process came to own how many partitions."""
        log = self.folder / f"owned-{slot}-{self.processes[slot].pid}"
        if not log.exists():
            return []
        lines = [line.split() for line in log.read_text().splitlines()]
        return [(float(at), int(count)) for at, count in lines]

    def shared_out_s(self, partitions: int, workers: int, patience_s: float) -> float | None:
        """Wait until all partitions are owned, by so many workers; say since when they are."""
        return self.owned_by_s(list(self.processes), partitions, workers, patience_s)

    def owned_by_s(
        self, slots: Sequence[int], partitions: int, workers: int, patience_s: float
    ) -> float | None:
        """Wait until these slots own all partitions, so many of them any; say since when."""

        def shared() -> float | None:
            newest = [self.owned(slot)[-1:] for slot in slots]
            if not all(newest):
                return None
            counts = [count for ((_, count),) in newest]
            if sum(counts) != partitions or sum(map(bool, counts)) != workers:
                return None
            return max(at for ((at, _),) in newest)

        return self._wait(shared, patience_s)

    def log(self, slot: int, *, whole: bool = False) -> str:
        """Give the end of what a slot's workers said, or all of it."""
        path = self.logs / f"worker-{slot}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return text if whole else text[-2_000:]

    def wait_until(self, condition: Callable[[], object], patience_s: float) -> bool:
        """Wait for what the workers bring about; False when they did not."""
        return self._wait(lambda: time.time() if condition() else None, patience_s) is not None

    def page(self, slot: int, name: str) -> str:
        """Ask a worker one of its pages, whatever it answers with; nothing when it does not."""
        urls = re.findall(r'"url": "(http://[\d.]+:\d+)/metrics"', self.log(slot, whole=True))
        try:
            with urllib.request.urlopen(f"{urls[-1]}/{name}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as unready:
            return unready.read().decode()
        except OSError:
            return ""

    def check(self) -> None:
        """Fail when a worker ended by itself."""
        for slot, process in self.processes.items():
            assert process.poll() is None, f"slot {slot} ended: {self.log(slot)}"

    def _wait(self, answer: Callable[[], float | None], patience_s: float) -> float | None:
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            self.check()
            found = answer()
            if found is not None:
                return found
            time.sleep(STEP_S)  # nothing to wait on: other processes' files
        return None


def hardware() -> str:
    """Name the machine's processors."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {os.uname().machine}"
