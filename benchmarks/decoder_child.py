"""What the decoder child costs: crossing to it, a poisoned batch, its start, its memory.

    python -m benchmarks.decoder_child

Crossing is measured with images of 15 KB of which nothing is decoded, so that all else is left.
The least of several rounds counts, so that what else runs on the machine counts least.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

from benchmarks.idle_decoder import CRASH, HANG, NOTHING
from benchmarks.provenance import commit, machine
from benchmarks.real_size_bundle import write_pictures
from features.images import ImageLimits, ImageProblem
from schemas.manifest import ImageInput
from worker.images.child_decoder import ChildDecoder
from worker.images.decoder_child.child import COMMAND, DecoderChild, Needs

IDLE: Final = (sys.executable, "-P", str(Path(__file__).with_name("idle_decoder.py")))
NEEDS: Final = Needs(ImageInput(64, 64), ImageLimits(10 << 20, 50_000_000), image_timeout_s=0.5)
IMAGE_BYTES: Final = 15_000
BATCH: Final = 32
CROSSING_US_MAX: Final = {32: 8.0, 8: 12.0, 1: 30.0}
POISONED_MS_MAX: Final = 50.0
ROUNDS: Final = 15
CROSSINGS: Final = 1_500
FAULTS: Final = 5
SPARE_S: Final = 1.0
"""A spare is ready after .15 s on an idle machine."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A row of the table."""

    what: str
    found: float
    at_most: float
    unit: str

    def line(self) -> str:
        """In Markdown."""
        return f"| {self.what} | {self.found:.1f} {self.unit} | {self.at_most:g} {self.unit} |"


def figures(rounds: int = ROUNDS, crossings: int = CROSSINGS, faults: int = FAULTS) -> list[Figure]:
    """Measure everything."""
    with tempfile.TemporaryDirectory() as folder:
        names = write_pictures(Path(folder))
        pictures = [(Path(folder) / name).read_bytes() for name in names][: BATCH - 1]
    with _decoder() as decoder:
        time.sleep(SPARE_S)
        return [
            *(_crossing(decoder, batch, rounds, crossings) for batch in CROSSING_US_MAX),
            _poisoned(decoder, "a crash", [*pictures, CRASH], 0.0, faults),
            _poisoned(decoder, "a hang, beyond its time", [*pictures, HANG], 0.5, faults),
        ]


def _crossing(decoder: ChildDecoder, batch: int, rounds: int, crossings: int) -> Figure:
    images = [NOTHING.ljust(IMAGE_BYTES)] * batch
    repeats = max(1, crossings // batch)

    def cross() -> None:
        for _ in range(repeats):
            decoder.decode(images)

    seconds = _least(rounds, cross)
    found_us = seconds / repeats / batch * 1e6
    return Figure(f"crossing, an image of {batch}", found_us, CROSSING_US_MAX[batch], "µs")


def _poisoned(
    decoder: ChildDecoder, what: str, images: Sequence[bytes], time_s: float, faults: int
) -> Figure:
    def once() -> float:
        time.sleep(SPARE_S)
        began_s = time.perf_counter()
        found = decoder.decode(images)
        seconds = time.perf_counter() - began_s
        if sum(isinstance(one, ImageProblem) for one in found) != 1:
            raise RuntimeError(f"{what} cost more than one image: {found}")
        return seconds

    found_ms = (min(once() for _ in range(faults)) - time_s) * 1000
    return Figure(f"{len(images)} photographs with {what}", found_ms, POISONED_MS_MAX, "ms")


def _least(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    seconds = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began_s)
    return min(seconds)


@contextmanager
def _decoder() -> Iterator[ChildDecoder]:
    decoder = ChildDecoder(NEEDS, lambda _: None, IDLE)
    try:
        yield decoder
    finally:
        decoder.close()


def start_and_memory() -> str:
    """The product's own child: seconds until it is ready, and what it holds then."""
    began_s = time.perf_counter()
    child = DecoderChild(NEEDS, COMMAND)
    try:
        child.wait_ready()
        ready_s = time.perf_counter() - began_s
        process = psutil.Process(child.pid)
        memory, times = process.memory_info(), process.cpu_times()
        return (
            f"ready in {ready_s:.2f} s, {times.user + times.system:.2f} s of CPU; "
            f"{memory.rss / 2**20:.0f} MB resident, {memory.shared / 2**20:.0f} MB of it shared"
        )
    finally:
        child.close()


def main() -> int:
    """Print the table; exit 1 when a figure is over its target."""
    measured = figures()
    lines = [
        f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; commit {commit()}",
        "",
        "| what | found | at most |",
        "|---|---|---|",
        *(figure.line() for figure in measured),
        "",
        f"a child: {start_and_memory()}",
    ]
    print("\n".join(lines))  # noqa: T201 - a program of figures.
    return 1 if any(figure.found > figure.at_most for figure in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
