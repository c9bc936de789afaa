"""A load on workers, from their start to the books: a scenario adds the fault in the middle.

with trial(place, load, workers=3) as run:
    while run.sending:
        …                       # the fault
        run.figures.hit("…")    # the proof that it hit
return run.figures              # drained, stopped in order, and reconciled by now
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.chaos.fleet import Fleet
from tests.chaos.oracle import Follower, Outcomes, reconcile
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import Posts, Sender
from tests.chaos.topics import Topics
from tests.tiny_bundle import write_tiny_bundle
from worker.settings import WorkerSettings

PARTITIONS: Final = 8
START_S: Final = 60.0
DRAIN_S: Final = 60.0
"""How long the last posts may come to nothing; a black hole and its timeouts are shorter."""
CATCH_UP_S: Final = 0.5
ORDINARY: Final = Posts()
Model = Callable[[Path], object]
QUICK: Final = {
    "request_timeout_ms": 1_000,
    "delivery_timeout_ms": 1_500,
    "transaction_timeout_ms": 2_000,
    "session_timeout_ms": 6_000,
    "max_poll_interval_ms": 7_000,
}
"""Timeouts that nest, as short as a broker allows: for faults that wait for one of them."""


@dataclass
class Trial:
    """What runs: the workers, and the posts that arrive."""

    topics: Topics
    flock: Fleet
    sender: Sender
    follower: Follower
    figures: Figures = field(default_factory=Figures)
    found: Outcomes = field(default_factory=Outcomes)

    @property
    def sending(self) -> bool:
        """Whether posts still arrive."""
        return self.sender.is_alive()

    def wait(self, seconds: float) -> None:
        """Let the load go on for so long, or until all is sent."""
        self.sender.join(max(0.0, seconds))

    def flows_again_s(self, patience_s: float = 60.0) -> float | None:
        """Give the seconds until one more outcome is visible; `catch_up` before the fault ends."""
        began_s = time.monotonic()
        if self.follower.reaches(self.follower.seen + 1, patience_s):
            return time.monotonic() - began_s
        return None

    def catch_up_for(self, seconds: float) -> None:
        """See outcomes as they become visible, for so long."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            self.follower.look(min(left_s, CATCH_UP_S))

    def catch_up(self) -> None:
        """See all outcomes that are visible, while nothing is added to them."""
        seen = -1
        while seen < self.follower.seen:
            seen = self.follower.seen
            self.follower.look(CATCH_UP_S)


@contextmanager
def trial(
    place: Place,
    load: Load,
    *,
    workers: int = 2,
    servers: str = "",
    settings: Mapping[str, object] | None = None,
    posts: Posts = ORDINARY,
    model: Model = write_tiny_bundle,
    environments: Mapping[int, Mapping[str, str]] | None = None,
    logs: Path | None = None,
    bundle: Path | None = None,
    bytes_max: Mapping[str, int] | None = None,
) -> Iterator[Trial]:
    """Start workers and a load; after the fault wait for all outcomes, stop, and reconcile.

    Args:
        place: where it runs; its servers are those of sender and oracle.
        load: the posts.
        workers: how many there are from the start.
        servers: what the workers connect to, where it is not what all others do.
        settings: what differs from the product's defaults.
        posts: what they are.
        model: writes the bundle into a new folder.
        environments: variables that some slots get on top of their parent's.
        logs: folder that the workers' logs go to.
        bundle: folder that the model is written to.
        bytes_max: limits of the topics, as `Topics.create` has them.
    """
    topics = Topics(place.servers, place.name, PARTITIONS)
    topics.create(**(bytes_max or {}))
    told = {"bootstrap_servers": servers or place.servers, **(settings or {})}
    flock = fleet(topics, place.folder, bundle or place.folder / "bundle", told, model)
    flock.environments.update(environments or {})
    flock.logs = logs or place.folder
    follower = Follower(topics)
    try:
        for slot in range(workers):
            flock.start(slot)
        assert flock.shared_out_s(PARTITIONS, workers, START_S), flock.log(0)
        sender = Sender(topics, load.posts, load.seconds, posts)
        run = Trial(topics, flock, sender, follower)
        run.sender.start()
        yield run
        run.sender.join()
        wanted = load.posts - run.sender.refused
        run.figures.demand(posts.refused in (None, run.sender.refused), f"{wanted} posts got in")
        _drain(run, wanted)
        flock.check()
        for slot in sorted(flock.processes):
            code = flock.stop(slot)[1]
            run.figures.demand(code == 0, f"slot {slot} did not stop in order: {code}")
    finally:
        follower.close()
        flock.end()
    run.found = reconcile(run.figures, topics, wanted)


def _drain(run: Trial, posts: int) -> None:
    """Wait until every post has an outcome, and note how long after the last one that was."""
    if not run.follower.reaches(posts, DRAIN_S):
        run.figures.demand(False, f"{run.follower.seen} outcomes, and no more in {DRAIN_S:.0f} s")
    run.figures.drained_s = max(0.0, run.follower.last_s - run.sender.finished_s)


def fleet(
    topics: Topics, folder: Path, bundle: Path, told: Mapping[str, object], model: Model
) -> Fleet:
    """Write the model of one run; its workers have the product's own defaults, but for `told`."""
    model(bundle)
    settings = {
        "bundle": bundle,
        "group": topics.name,
        "instance": "chaos",
        "posts_topic": topics.posts,
        "verdicts_topic": topics.verdicts,
        "dead_letters_topic": topics.dead_letters,
        "log_format": "json",
        **told,
    }
    return Fleet(WorkerSettings.model_validate(settings), folder)
