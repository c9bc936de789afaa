"""Workers in processes of their own: started, killed, stopped, and asked what they own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
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

    def doom(self, slot: int, patience_s: float) -> float | None:
        """Have a worker die between flush and commit; say when, None when it did not."""
        doom = self.folder / f"die-{slot}"
        doom.touch()
        process = self.processes[slot]
        try:
            code = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            doom.unlink(missing_ok=True)
            return None
        assert code == -signal.SIGKILL, self.log(slot)
        del self.processes[slot]
        return time.time()

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

        def shared() -> float | None:
            newest = [self.owned(slot)[-1:] for slot in self.processes]
            if not all(newest):
                return None
            counts = [count for ((_, count),) in newest]
            if sum(counts) != partitions or sum(map(bool, counts)) != workers:
                return None
            return max(at for ((at, _),) in newest)

        return self._wait(shared, patience_s)

    def log(self, slot: int) -> str:
        """Give the end of what a slot's workers said."""
        path = self.logs / f"worker-{slot}.log"
        return path.read_text(errors="replace")[-2_000:] if path.exists() else ""

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
