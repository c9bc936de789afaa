"""Send a backlog of good posts, and then one of which each hundredth makes the text graph raise."""

import threading
import time
from dataclasses import replace
from typing import Final

from tests.chaos.oracle import posts_sent
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import POISON, Posts, ordinary, post
from tests.chaos.trial import Trial, trial

EVERY: Final = 100
THROUGHPUT_MIN: Final = 0.8
TIMED: Final = (0.1, 0.9)
"""The part of each backlog that is timed: its ends are starts and waits."""
LASTING_S: Final = 5.0
"""In a shorter time a pause of one worker is much of it."""
PATIENCE_S: Final = 60.0


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

    def make(number: int) -> bytes:
        if number == half:
            calm_is_over.wait()
        return poisonous(number) if number >= half and raises(number) else ordinary(number)

    backlog = replace(load, seconds=0.0)
    with trial(place, backlog, posts=Posts(make), raises_for=POISON) as tried:
        try:
            calm, _ = _throughput(tried, 0, half)
        finally:
            calm_is_over.set()
        poisoned, lasted_s = _throughput(tried, half, half)
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
    low = poisoned < THROUGHPUT_MIN * calm and lasted_s >= LASTING_S
    figures.demand(not low, f"{poisoned / calm:.0%} of the throughput without poison")
    return figures


def _throughput(tried: Trial, first: int, posts: int) -> tuple[float, float]:
    """Give outcomes a second of a backlog, and the seconds of its timed part; wait for its end."""
    begin, end = (first + int(share * posts) for share in TIMED)
    tried.follower.reaches(begin, PATIENCE_S)
    began_s, before = time.monotonic(), tried.follower.seen
    tried.follower.reaches(end, PATIENCE_S)
    lasted_s, done = time.monotonic() - began_s, tried.follower.seen - before
    tried.follower.reaches(first + posts, PATIENCE_S)
    return done / lasted_s, lasted_s
