"""Work for long at 70 % of what can be worked, with images: memory, files and threads stay."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import psutil
from PIL import Image

from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import Posts, post
from tests.chaos.trial import Trial, trial

SHARE: Final = 0.7
SAMPLE_S: Final = 2.0
PICTURES: Final = 50
# Of the 30 minutes of a full run: minutes 10 to 12, and the last 2.
FIRST: Final = (1 / 3, 0.4)
LAST: Final = (14 / 15, 1.0)
GROWTH_MB_MAX: Final = 3.0
# In a shorter run a process warms up all the while.
SHORTER_S: Final = 1_200.0
WARM_UP_MB_MAX: Final = 12.0
WORKERS: Final = 2


@dataclass(frozen=True, slots=True)
class Sample:
    """What the system says of one process, at a part of the run."""

    part: float
    rss_mb: float
    files: int
    threads: int


def run(place: Place, load: Load) -> Figures:
    """Measure what can be worked by a backlog of `load.posts`, then soak for `load.seconds`."""
    _write_pictures(place.folder)
    # Some pictures stand for many: each is decoded all the same.
    settings = {"image_root": place.folder, "image_cache_bytes_max": 0}
    probe = replace(place, name=f"{place.name}-probe")
    with trial(
        probe, replace(load, seconds=0.0), workers=WORKERS, settings=settings, posts=Posts(_make)
    ) as tried:
        began_s = time.time()
    rate = load.posts / (tried.follower.last_s - began_s)
    soak = replace(load, posts=int(SHARE * rate * load.seconds))
    with trial(place, soak, workers=WORKERS, settings=settings, posts=Posts(_make)) as tried:
        samples = _sampled(tried, load.seconds)
    figures = tried.figures
    figures.hit("samples", sum(map(len, samples.values())))
    figures.shown["posts/s"] = f"{SHARE * rate:,.0f}"
    _judge(figures, samples, WARM_UP_MB_MAX if load.seconds < SHORTER_S else GROWTH_MB_MAX)
    return figures


def _sampled(tried: Trial, seconds: float) -> Mapping[str, Sequence[Sample]]:
    """Look at each process until all is sent."""
    samples: dict[str, list[Sample]] = defaultdict(list)
    began_s = time.monotonic()
    while tried.sending:
        part = (time.monotonic() - began_s) / seconds
        for slot, process in tried.flock.processes.items():
            worker = psutil.Process(process.pid)
            for number, one in enumerate([worker, *worker.children(recursive=True)]):
                samples[f"{slot}.{number}"].append(_sample(part, one))
        tried.catch_up_for(SAMPLE_S)
    return samples


def _sample(part: float, process: psutil.Process) -> Sample:
    rss_mb = process.memory_info().rss / 2**20
    return Sample(part, rss_mb, process.num_fds(), process.num_threads())


def _judge(figures: Figures, samples: Mapping[str, Sequence[Sample]], growth_mb_max: float) -> None:
    growth_mb = []
    for name, taken in samples.items():
        first, last = (
            [each for each in taken if begin <= each.part <= end] for begin, end in (FIRST, LAST)
        )
        figures.demand(first and last, f"process {name} was not there all the time")
        if not first or not last:
            continue
        growth_mb.append(median(s.rss_mb for s in last) - median(s.rss_mb for s in first))
        for what in ("files", "threads"):
            before, after = (median(getattr(s, what) for s in part) for part in (first, last))
            figures.demand(after <= before, f"process {name}: {before:g} {what}, then {after:g}")
    worst_mb = max(growth_mb, default=0.0)
    figures.shown["memory grown by"] = f"{worst_mb:.1f} MB at most, of {len(samples)} processes"
    figures.demand(worst_mb <= growth_mb_max, f"memory grew by {worst_mb:.1f} MB")


def _write_pictures(folder: Path) -> None:
    chance = np.random.default_rng(7)
    for number in range(PICTURES):
        written = BytesIO()
        Image.fromarray(chance.integers(0, 255, (240, 320, 3), np.uint8)).save(written, "PNG")
        (folder / f"{number}.png").write_bytes(written.getvalue())


def _make(number: int) -> bytes:
    return post(number, "房间很好", image=f"file:{number % PICTURES}.png")
