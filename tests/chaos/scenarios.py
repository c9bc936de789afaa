"""The faults, each a few lines: what is done to the workers, and the figures that must hold."""

import random
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.fleet import Fleet
from tests.chaos.topics import POISON, Sender, Topics
from tests.tiny_bundle import write_tiny_bundle
from worker.settings import WorkerSettings

PARTITIONS = 8
START_S = 60.0
DRAIN_S = 120.0
MOVED_S_MAX = 3.0
COUNT_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """How many posts arrive, evenly, over how long; and how often something is killed."""

    posts: int
    seconds: float
    kill_every_s: float = 3.0
    seed: int = 7


@dataclass
class Figures:
    """What came of one scenario. `passed` says whether everything that must hold did."""

    name: str
    posts: int = 0
    lost: int = 0
    twice: int = 0
    kills: int = 0
    kills_in_commit: int = 0
    shared_again: int = 0
    uncommitted: int = 0
    drained_s: float = 0.0
    moves_s: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether nothing was lost or twice, and nothing else was wrong."""
        return not self.lost and not self.twice and not self.faults

    def demand(self, truth: object, otherwise: str) -> None:
        """Note a fault unless something holds."""
        if not truth:
            self.faults.append(otherwise)


def fleet(topics: Topics, folder: Path, raises_for: str = "") -> Fleet:
    """Make the topics and the model of one run; its workers have the product's own defaults.

    The model's text graph raises for texts with the term `raises_for`.
    """
    topics.create()
    bundle = folder / "bundle"
    write_tiny_bundle(bundle, raises_for=raises_for)
    settings = WorkerSettings(
        bundle=bundle,
        bootstrap_servers=topics.servers,
        group=topics.name,
        instance="chaos",
        posts_topic=topics.posts,
        verdicts_topic=topics.verdicts,
        dead_letters_topic=topics.dead_letters,
        log_format="json",
    )
    return Fleet(settings, folder)


def kill_workers(topics: Topics, folder: Path, load: Load, workers: int = 3) -> Figures:
    """Kill a random worker every few seconds, one of them between flush and commit."""
    figures = Figures("kill -9")
    chance = random.Random(load.seed)
    flock = fleet(topics, folder)
    try:
        for slot in range(workers):
            flock.start(slot)
        assert flock.shared_out_s(PARTITIONS, workers, START_S), flock.log(0)
        sender = Sender(topics, load.posts, load.seconds)
        sender.start()
        due_s = time.monotonic()
        while sender.is_alive():
            due_s += load.kill_every_s
            _kill_one(figures, flock, chance.randrange(workers), due_s)
            sender.join(max(0.0, due_s - time.monotonic()))
        _drain(figures, topics, sender)
        flock.check()
        for slot in range(workers):
            figures.demand(flock.stop(slot)[1] == 0, f"slot {slot} did not stop in order")
    finally:
        flock.end()
    _reconcile(figures, topics)
    figures.demand(figures.kills_in_commit, "no worker died between flush and commit")
    figures.demand(figures.uncommitted, "read_uncommitted shows no more rows: no fault has hit")
    return figures


def _kill_one(figures: Figures, flock: Fleet, slot: int, until_s: float) -> None:
    """Kill a worker, in its commit if that has not been seen yet, and start it again."""
    workers = len(flock.processes)
    died_s = None
    if figures.kills >= 1 and not figures.kills_in_commit:
        died_s = flock.doom(slot, until_s - time.monotonic())
        figures.kills_in_commit += died_s is not None
    if died_s is None:
        died_s = flock.kill(slot)
    figures.kills += 1
    flock.start(slot)
    shared_s = flock.shared_out_s(PARTITIONS, workers, until_s - time.monotonic())
    if shared_s is not None:
        figures.shared_again += 1
        worst_s = max(figures.moves_s.get("after a kill", 0.0), shared_s - died_s)
        figures.moves_s["after a kill"] = worst_s


def scale(topics: Topics, folder: Path, load: Load) -> Figures:
    """One worker, then two, then one again, under load."""
    figures = Figures("scaling 1, 2, 1")
    flock = fleet(topics, folder)
    try:
        flock.start(0)
        assert flock.shared_out_s(PARTITIONS, 1, START_S), flock.log(0)
        sender = Sender(topics, load.posts, load.seconds)
        sender.start()
        sender.join(load.seconds / 3)
        flock.start(1)
        shared_s = flock.shared_out_s(PARTITIONS, 2, START_S)
        assert shared_s is not None, flock.log(1)
        joined_s = flock.owned(1)[0][0]
        figures.moves_s["to a second worker"] = shared_s - joined_s
        sender.join(load.seconds / 3)
        left_s, code = flock.stop(1)
        figures.demand(code == 0, "the second worker did not stop in order")
        shared_s = flock.shared_out_s(PARTITIONS, 1, START_S)
        assert shared_s is not None, flock.log(0)
        figures.moves_s["back to the first"] = shared_s - left_s
        sender.join()
        _drain(figures, topics, sender)
        figures.demand(flock.stop(0)[1] == 0, "the first worker did not stop in order")
    finally:
        flock.end()
    _reconcile(figures, topics)
    for name, seconds in figures.moves_s.items():
        figures.demand(seconds <= MOVED_S_MAX, f"{name}: {seconds:.1f} s")
    return figures


def poison(topics: Topics, folder: Path, load: Load, workers: int = 2) -> Figures:
    """Send posts of which one in a hundred makes the model's text graph raise."""
    figures = Figures("poison: 1 % raise")
    flock = fleet(topics, folder, raises_for=POISON)
    try:
        for slot in range(workers):
            flock.start(slot)
        assert flock.shared_out_s(PARTITIONS, workers, START_S), flock.log(0)
        sender = Sender(topics, load.posts, load.seconds, poison_every=100)
        sender.start()
        sender.join()
        _drain(figures, topics, sender)
        flock.check()
        for slot in range(workers):
            figures.demand(flock.stop(slot)[1] == 0, f"slot {slot} did not stop in order")
    finally:
        flock.end()
    _reconcile(figures, topics)
    guilty, convicted = topics.poisonous(), topics.rejected("poison")
    figures.demand(len(guilty) == load.posts // 100, f"{len(guilty)} posts are poisonous")
    figures.demand(guilty <= convicted, f"{len(guilty - convicted)} got verdicts")
    figures.demand(convicted <= guilty, f"{len(convicted - guilty)} good posts are dead letters")
    return figures


def _drain(figures: Figures, topics: Topics, sender: Sender) -> None:
    """Wait until every post has an outcome, and note how long after the last one that was."""
    expected = len(topics.sources())
    deadline_s = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline_s:
        if len(topics.outcomes("read_committed")) >= expected:
            break
        time.sleep(COUNT_EVERY_S)
    figures.drained_s = time.time() - sender.finished_s


def _reconcile(figures: Figures, topics: Topics) -> None:
    """Compare what went in with what came out, record by record."""
    sources = topics.sources()
    committed = topics.outcomes("read_committed")
    figures.posts = len(sources)
    figures.lost = len(sources - committed.keys())
    figures.twice = sum(count - 1 for count in committed.values() if count > 1)
    strangers = committed.keys() - sources
    figures.demand(not strangers, f"{len(strangers)} outcomes answer no post")
    figures.uncommitted = topics.outcomes("read_uncommitted").total() - committed.total()
