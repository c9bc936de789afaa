"""Send backlogs by turns: one of good posts, and one of which 1 % make the model raise.

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
from tests.chaos.trial import PARTITIONS, Trial, trial
from tests.tiny_bundle import write_tiny_bundle

TURNS: Final = 5
"""Pairs of backlogs: what else the machine does falls on both kinds."""
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
    """Whether the post of this number makes the graph raise: one of each hundred.

    It is in another place of each, so that all partitions have their share.
    """
    return number % EVERY == 1 + number // EVERY % PARTITIONS


def poisonous(number: int) -> bytes:
    """The post of such a number."""
    return post(number, "房间" + POISON)


def run(place: Place, load: Load) -> Figures:
    """Exactly those become dead letters, and cost little of the throughput."""
    backlog = load.posts // (2 * TURNS)
    may_send = [threading.Event() for _ in range(2 * TURNS)]
    good = [text for text in texts(TEXTS, 2) if POISON not in text]

    def bad(number: int) -> bool:
        return number // backlog % 2 == 1 and raises(number)

    def make(number: int) -> bytes:
        if number % backlog == 0:
            may_send[number // backlog].wait()
        text = good[number % len(good)]
        return post(number, f"{text}，{POISON}" if bad(number) else text)

    at_once = replace(load, seconds=0.0)
    model = _write_large if load.posts >= LASTING else _write_tiny
    spent_s = [0.0, 0.0]
    with trial(place, at_once, posts=Posts(make), model=model) as tried:
        try:
            for number, begin in enumerate(may_send):
                begin.set()
                spent_s[number % 2] += _spent_s(tried, number * backlog, backlog)
        finally:
            for begin in may_send:
                begin.set()
    share = spent_s[0] / spent_s[1]
    figures = tried.figures
    sent = posts_sent(tried.topics)
    guilty = {source for source, number in sent.items() if bad(int(number))}
    convicted = {s for s, reason in tried.found.reasons.items() if reason == "poison"}
    figures.hit("poisonous posts", len(guilty))
    wanted = load.posts // (2 * EVERY)
    figures.demand(len(guilty) == wanted, f"{len(guilty)} posts are poisonous")
    figures.demand(guilty <= convicted, f"{len(guilty - convicted)} got verdicts")
    figures.demand(convicted <= guilty, f"{len(convicted - guilty)} good posts are dead letters")
    if load.posts >= LASTING:
        posts = TURNS * backlog * (TIMED[1] - TIMED[0])
        figures.shown["posts/s without"] = f"{posts / spent_s[0]:,.0f}"
        figures.shown["with poison"] = f"{posts / spent_s[1]:,.0f} ({share:.0%})"
        low = f"{share:.0%} of the throughput without poison"
        figures.demand(share >= THROUGHPUT_MIN, low)
    return figures


def _write_tiny(folder: Path) -> None:
    write_tiny_bundle(folder, raises_for=POISON)


def _write_large(folder: Path) -> None:
    """In a process of its own: TensorFlow stays out of this one."""
    command = [sys.executable, "-m", "benchmarks.real_size_bundle", str(folder), POISON]
    subprocess.run(command, cwd=ROOT, check=True)


def _spent_s(tried: Trial, first: int, posts: int) -> float:
    """Wait for the end of a backlog, and give how long its timed part took, to a batch."""
    begin, end = (first + int(share * posts) for share in TIMED)
    tried.follower.reaches(begin, PATIENCE_S)
    began_s, before = time.monotonic(), tried.follower.seen
    tried.follower.reaches(end, PATIENCE_S)
    seen = max(1, tried.follower.seen - before)
    spent_s = (time.monotonic() - began_s) * (end - begin) / seen
    tried.follower.reaches(first + posts, PATIENCE_S)
    return spent_s
