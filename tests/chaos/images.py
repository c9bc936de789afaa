"""`python -m tests.chaos.images`: mutated images by the hundred thousand through a decoder child.

Each good image is altered by chance, from a seed that is printed. Every image must get pixels or a
reason in its time, and worker and child must not grow. What ends a child is kept in a folder.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import psutil
from rich.console import Console

from features.images import ImageLimits, ImageProblem
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from tests.mutated_images import mutated
from worker.images.child_decoder import ChildDecoder
from worker.images.decoder_child.child import Needs

BATCH: Final = 64
IMAGE_S_MAX: Final = 2.0
GROWTH_BYTES_MAX: Final = 50 << 20
WARM_UP: Final = 2_000
NEEDS: Final = Needs(ImageInput(64, 64), ImageLimits(10 << 20, 50_000_000), IMAGE_S_MAX)
_ENDED: Final = frozenset({Reason.IMAGE_DECODER_CRASHED, Reason.IMAGE_DECODING_TOO_SLOW})


def main(arguments: Sequence[str]) -> int:
    """Print what became of the images; exit 1 when memory grew or an image was not answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.images", description=__doc__)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    told = parser.parse_args(arguments)
    endings: Counter[str] = Counter()
    decoder = ChildDecoder(NEEDS, lambda why: endings.update([why]))
    try:
        Run(decoder, told.seed).over(WARM_UP)
        before = resident(decoder)
        run = Run(decoder, told.seed + 1)
        run.over(told.images)
        grown = resident(decoder) - before
    finally:
        decoder.close()
    out = Console(highlight=False, soft_wrap=True)
    for reason, count in run.outcomes.most_common():
        out.print(f"{count:>9}  {reason}")
    out.print(
        f"{told.images} images from seed {told.seed}; the slowest batch of {BATCH} took "
        f"{run.slowest_s:.2f} s; worker and child grew by {grown / 2**20:.1f} MB; "
        f"children that ended: {dict(endings) or 'none'}"
    )
    if run.kept:
        out.print(f"what ended them is in {run.folder}")
    answered = sum(run.outcomes.values()) == told.images
    return 0 if answered and grown <= GROWTH_BYTES_MAX else 1


class Run:
    """Sends mutated images, and counts what became of them."""

    def __init__(self, decoder: ChildDecoder, seed: int) -> None:
        self.outcomes: Counter[str] = Counter()
        self.slowest_s = 0.0
        self.kept = 0
        self.folder = Path(tempfile.gettempdir()) / f"tuwen-poison-{seed}"
        self._decoder = decoder
        self._seed = seed

    def over(self, count: int) -> None:
        """Send `count` images in batches."""
        images = mutated(count, self._seed)
        while batch := list(itertools.islice(images, BATCH)):
            began_s = time.monotonic()
            found = self._decoder.decode(batch)
            self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
            for image, one in zip(batch, found, strict=True):
                self._count(image, one.reason if isinstance(one, ImageProblem) else "pixels")

    def _count(self, image: bytes, outcome: str) -> None:
        self.outcomes[outcome] += 1
        if outcome in _ENDED:
            self.folder.mkdir(exist_ok=True)
            (self.folder / str(self.kept)).write_bytes(image)
            self.kept += 1


def resident(decoder: ChildDecoder) -> int:
    """Bytes of this process and of the decoder's current child."""
    processes = (psutil.Process(), psutil.Process(decoder.pid))
    return sum(int(process.memory_info().rss) for process in processes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
