"""Send a backlog of good posts, and then one of which each hundredth makes the model raise.

The bundle is as large as a trained one, and the texts are as long as posts have them: else a post
costs next to nothing, and what poison costs beside it tells little. A run that is too short to tell
does with a tiny one.
"""

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from benchmarks.real_size_bundle import texts
from tests.chaos.fleet import ROOT
from tests.chaos.oracle import posts_sent
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import POISON, Posts, post
from tests.chaos.trial import Trial, trial
from tests.tiny_bundle import write_tiny_bundle

EVERY: Final = 100
THROUGHPUT_MIN: Final = 0.8
TIMED: Final = (0.1, 0.9)
"""The part of each backlog that is timed: its ends are starts and waits."""
LASTING: Final = 100_000
"""Of fewer posts a pause of one worker is much of the time."""
PATIENCE_S: Final = 60.0
TEXTS: Final = 2_000
"""So many stand for all: a text costs the same each time."""


def raises(number: int) -> bool:
    """Whether the post of this number is one that makes the graph raise."""
    return number % EVERY == 1


def poisonous(number: int) -> bytes:
    """The post of such a number."""
    return post(number, "房间" + POISON)


def run(place: Place, load: Load) -> Figures:
    """Exactly those become dead letters, and cost little of the throughput."""
    half = load.posts // 2
    calm_is_over = threading.Event()

    good = [text for text in texts(TEXTS, 2) if POISON not in text]

    def make(number: int) -> bytes:
        if number == half:
            calm_is_over.wait()
        text = good[number % len(good)]
        bad = number >= half and raises(number)
        return post(number, f"{text}，{POISON}" if bad else text)

    backlog = replace(load, seconds=0.0)
    model = _write_large if load.posts >= LASTING else _write_tiny
    with trial(place, backlog, posts=Posts(make), model=model) as tried:
        try:
            calm = _throughput(tried, 0, half)
        finally:
            calm_is_over.set()
        poisoned = _throughput(tried, half, half)
    figures = tried.figures
    sent = posts_sent(tried.topics)
    guilty = {s for s, n in sent.items() if int(n) >= half and raises(int(n))}
    convicted = {s for s, reason in tried.found.reasons.items() if reason == "poison"}
    figures.hit("poisonous posts", len(guilty))
    figures.demand(len(guilty) == half // EVERY, f"{len(guilty)} posts are poisonous")
    figures.demand(guilty <= convicted, f"{len(guilty - convicted)} got verdicts")
    figures.demand(convicted <= guilty, f"{len(convicted - guilty)} good posts are dead letters")
    figures.shown["posts/s without"] = f"{calm:,.0f}"
    figures.shown["with poison"] = f"{poisoned:,.0f} ({poisoned / calm:.0%})"
    low = poisoned < THROUGHPUT_MIN * calm and load.posts >= LASTING
    figures.demand(not low, f"{poisoned / calm:.0%} of the throughput without poison")
    return figures


def _write_tiny(folder: Path) -> None:
    write_tiny_bundle(folder, raises_for=POISON)


def _write_large(folder: Path) -> None:
    """In a process of its own: TensorFlow stays out of this one."""
    command = [sys.executable, "-m", "benchmarks.real_size_bundle", str(folder), POISON]
    subprocess.run(command, cwd=ROOT, check=True)


def _throughput(tried: Trial, first: int, posts: int) -> float:
    """Give outcomes a second of a backlog's timed part, and wait for its end."""
    begin, end = (first + int(share * posts) for share in TIMED)
    tried.follower.reaches(begin, PATIENCE_S)
    began_s, before = time.monotonic(), tried.follower.seen
    tried.follower.reaches(end, PATIENCE_S)
    posts_per_s = (tried.follower.seen - before) / (time.monotonic() - began_s)
    tried.follower.reaches(first + posts, PATIENCE_S)
    return posts_per_s
