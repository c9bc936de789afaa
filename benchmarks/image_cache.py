"""What the cache of images costs a post, and saves it: `python -m benchmarks.image_cache`.

Nothing is fetched over a network, decoded or shown to a CNN: what remains is the cache's own. Each
figure is the median of some rounds.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from rich.console import Console

from features.images import ImageProblem
from worker.images.cache import ImageCache, Pixels, Unwatched, no_cache
from worker.images.decoder import Decoder
from worker.images.file import FileSource, reference_to
from worker.images.pictures import Picture, Pictures
from worker.images.sources import NOTHING_KNOWN, Answer, ImageSource, Known, Versioned

BATCH: Final = 64
BATCHES: Final = 40
ROUNDS: Final = 7
SIDE: Final = 64
WIDTH: Final = 67
IMAGE: Final = bytes(8_000)
SECOND_NS: Final = 1_000_000_000

Batches = Sequence[Sequence[str]]


class Instant:
    """A source and a decoder that cost nothing to speak of."""

    def __init__(self) -> None:
        self._batch = np.zeros((BATCH, SIDE, SIDE, 3), np.uint8)

    def fetch(self, references: Sequence[str], _known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Give an image that is fresh for an hour."""
        return [Versioned(IMAGE, (each, '"1"'), 3600.0) for each in references]

    def decode(self, images: Sequence[bytes]) -> list[Pixels | ImageProblem]:
        """Give pixels as the decoder child does, rows of one array."""
        return list(self._batch[: len(images)])


def batches(number: int) -> Batches:
    """References that no other round has."""
    return [
        [f"http://img.example.com/{number}/{batch}/{n}.jpg" for n in range(BATCH)]
        for batch in range(BATCHES)
    ]


def work(pictures: Pictures, cache: ImageCache, posts: Batches) -> float:
    """Bring all pictures, and keep what a CNN would see in them; gives µs of CPU a post."""
    seen = np.zeros((BATCH, WIDTH), np.float32)
    began_s = time.process_time()
    for references in posts:
        found = [each for each in pictures.of(references) if isinstance(each, Picture)]
        cache.fill(
            [
                (each.key, each.pixels, row)
                for each, row in zip(found, seen, strict=True)
                if each.key is not None and each.pixels is not None
            ]
        )
    return (time.process_time() - began_s) / BATCH / BATCHES * 1e6


def cost(source: ImageSource, decoder: Decoder, rounds: Sequence[Batches]) -> tuple[float, ...]:
    """µs of CPU a post without a cache, when none of the images is in it, and when all are."""
    off, on = no_cache(), ImageCache(2**30, b"a bundle", Unwatched())
    without, with_it = Pictures(source, decoder, off), Pictures(source, decoder, on)
    figures = [
        (work(without, off, posts), work(with_it, on, posts), work(with_it, on, posts))
        for posts in rounds
    ]
    return tuple(median(column) for column in zip(*figures, strict=True))


def file_rounds(root: Path) -> list[Batches]:
    """The same, of files beneath a root."""
    rounds: list[Batches] = []
    for number in range(ROUNDS):
        names = [f"{number}-{n}.jpg" for n in range(BATCH * BATCHES)]
        for name in names:
            (root / name).write_bytes(IMAGE)
        references = [reference_to(name) for name in names]
        rounds.append([references[n : n + BATCH] for n in range(0, len(references), BATCH)])
    return rounds


def resident_bytes() -> int:
    """What this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Full(Unwatched):
    """Notes that the cache is full."""

    reached = False

    def image_cache_holds(self, held_bytes: int, evicted: int) -> None:
        """It is when it drops something."""
        self.reached = self.reached or bool(held_bytes and evicted)


def memory(instant: Instant, bytes_max: int) -> tuple[int, int]:
    """How much a process grows by a full cache, and how many images that holds."""
    full = Full()
    cache = ImageCache(bytes_max, b"a bundle", full)
    pictures = Pictures(instant, instant, cache)
    before = resident_bytes()
    for images in count(0, BATCH):
        if full.reached:
            break
        work(pictures, cache, [[f"http://img.example.com/{images + n}.jpg" for n in range(BATCH)]])
    return resident_bytes() - before, images


def main() -> int:
    """Measure and tell."""
    console, instant = Console(highlight=False, soft_wrap=True), Instant()
    grown, images = memory(instant, 32 * 2**20)
    tell: Callable[[str], None] = console.print
    off, miss, hit = cost(instant, instant, [batches(number) for number in range(ROUNDS)])
    tell(f"not asked for: a miss costs {miss - off:.1f} µs more than no cache, a hit {hit:.1f} µs")
    with tempfile.TemporaryDirectory() as folder:
        later = FileSource(Path(folder), 10**6, lambda: time.time_ns() + 60 * SECOND_NS)
        off, miss, hit = cost(later, instant, file_rounds(Path(folder)))
    tell(f"files: a miss costs {miss - off:.1f} µs more than no cache, a hit {hit:.1f} µs,")
    tell(f"  and to read one {off:.1f} µs")
    tell(f"a cache of 32 MiB: {grown / 2**20:.0f} MiB of memory, some {images:,} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
