"""Kill random workers under load, some of them between flush and commit."""

import random
import time
from collections.abc import Mapping
from typing import Final

from tests.chaos.fleet import Fleet
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import Posts
from tests.chaos.trial import ORDINARY, PARTITIONS, Trial, trial

WORKERS: Final = 3
IN_COMMIT_EVERY: Final = 4
"""Of so many kills one is placed: of 50 at least 5, even where one or the other fails."""


def run(place: Place, load: Load) -> Figures:
    """Kill one every few seconds; it is started again at once."""
    return kill_under_load(place, load)


def kill_under_load(
    place: Place,
    load: Load,
    settings: Mapping[str, object] | None = None,
    posts: Posts = ORDINARY,
) -> Figures:
    """Kill workers of these settings while such posts arrive."""
    chance = random.Random(load.seed)
    every_s = load.seconds / (load.faults + 1)
    with trial(place, load, workers=WORKERS, settings=settings, posts=posts) as tried:
        due_s = time.monotonic()
        tried.figures.hits = {"kills": 0, "in commit": 0}
        while tried.sending:
            due_s += every_s
            _kill_one(tried, chance.randrange(WORKERS), due_s)
            tried.wait(due_s - time.monotonic())
    figures = tried.figures
    wanted = (load.faults, max(1, load.faults // 10))
    found = (figures.hits["kills"], figures.hits["in commit"])
    figures.demand(found >= wanted and found[1] >= wanted[1], f"{found} kills, {wanted} wanted")
    figures.demand(figures.uncommitted, "read_uncommitted shows no more rows: nothing was aborted")
    convicted = sum(reason == "poison" for reason in tried.found.reasons.values())
    figures.demand(not convicted, f"{convicted} posts are dead letters for the death of a worker")
    return figures


def _kill_one(tried: Trial, slot: int, until_s: float) -> None:
    """Kill a worker, in its commit when it is time for that, and start it again."""
    figures, flock = tried.figures, tried.flock
    died_s = None
    if figures.hits["kills"] % IN_COMMIT_EVERY == 1:
        slot = next((each for each in flock.processes if _owns(flock, each)), slot)
        died_s = flock.doom(slot, max(0.5, until_s - time.monotonic()))
        figures.hit("in commit", int(died_s is not None))
    if died_s is None:
        died_s = flock.kill(slot)
    figures.hit("kills")
    flock.start(slot)
    shared_s = flock.shared_out_s(PARTITIONS, WORKERS, until_s - time.monotonic())
    if shared_s is not None:
        _note_moved(figures, shared_s - died_s)


def _owns(flock: Fleet, slot: int) -> bool:
    """Whether a worker has partitions, and so has something to commit."""
    return any(count for _, count in flock.owned(slot)[-1:])


def _note_moved(figures: Figures, seconds: float) -> None:
    """Keep the longest time from a kill until all partitions were shared out again."""
    worst = "partitions moved in"
    before_s = float(figures.shown.get(worst, "0").removesuffix(" s"))
    figures.shown[worst] = f"{max(before_s, seconds):.1f} s"
