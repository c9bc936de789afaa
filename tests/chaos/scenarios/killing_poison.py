"""Send posts that kill the process that works on them, among others that make the model raise.

Workers that die are started again.

A crash of native code is real. A kernel that is out of memory is played by what it does, SIGKILL:
a real one would pick its victims on the whole machine.
"""

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tests.chaos.oracle import posts_sent
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.scenarios.poisoning import poisonous, raises
from tests.chaos.sending import POISON, Posts, ordinary, post
from tests.chaos.trial import Trial, trial
from tests.tiny_bundle import write_tiny_bundle

WORKERS: Final = 3
CALM_S: Final = 25.0
"""When nothing has died for so long after the last post, nothing will any more."""
THROUGHPUT_MIN: Final = 0.8
THROUGHPUT_FROM_S: Final = 300.0
"""In a shorter run the starts of a few processes are much of it."""
LOOK_EVERY_S: Final = 0.2
CRASH, KILL = "崩溃", "耗尽"

DEADLY: Final = f"""
import ctypes, importlib.abc, importlib.util, os, signal, sys

class Deadly(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "inference.classifier":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (load(module), arm(module.Classifier))
        return spec

def arm(classifier):
    features = classifier.features
    def deadly(self, texts, *more):
        for text in texts:
            if text and {CRASH!r} in text:
                ctypes.string_at(0)
            if text and {KILL!r} in text:
                os.kill(os.getpid(), signal.SIGKILL)
        return features(self, texts, *more)
    classifier.features = deadly

sys.meta_path.insert(0, Deadly())
"""
"""Python runs it as it starts, in workers and in the children that they start."""


def run(place: Place, load: Load) -> Figures:
    """Exactly those become dead letters; what dies is started again at once."""
    armed = dict.fromkeys(range(WORKERS), _armed(place.folder))
    deadly = {load.posts * (n + 1) // (load.faults + 1): n for n in range(load.faults)}
    guilty = deadly.keys() | set(filter(raises, range(load.posts)))

    def make(number: int) -> bytes:
        if number in deadly:
            return post(number, "房间" + (KILL if deadly[number] % 2 else CRASH))
        return poisonous(number) if raises(number) else ordinary(number)

    model = partial(write_tiny_bundle, raises_for=POISON)
    with trial(
        *(place, load), workers=WORKERS, posts=Posts(make), model=model, environments=armed
    ) as tried:
        tried.figures.hits = {"workers that died": 0}
        died_s = time.monotonic()
        while tried.sending or time.monotonic() - died_s < CALM_S:
            died_s = _started_again(tried) or died_s
            tried.catch_up_for(LOOK_EVERY_S)
    figures = tried.figures
    numbers = posts_sent(tried.topics)
    convicted = {int(numbers[s]) for s, why in tried.found.reasons.items() if why == "poison"}
    wrong = sorted(convicted ^ guilty)
    figures.demand(not wrong, f"{len(wrong)} convicted that are good, or the reverse: {wrong[:5]}")
    figures.hit("posts that kill", len(convicted & deadly.keys()))
    figures.hit("posts that raise", len(convicted - deadly.keys()))
    labelled = load.posts / (load.seconds + max(0.0, figures.drained_s))
    share = labelled / (load.posts / load.seconds)
    figures.shown["throughput"] = f"{share:.0%} of what was sent"
    low = share < THROUGHPUT_MIN and load.seconds >= THROUGHPUT_FROM_S
    figures.demand(not low, f"throughput {share:.0%}")
    return figures


def _armed(folder: Path) -> Mapping[str, str]:
    path = folder / "deadly"
    path.mkdir()
    (path / "sitecustomize.py").write_text(DEADLY, encoding="utf-8")
    return {"PYTHONPATH": str(path)}


def _started_again(tried: Trial) -> float | None:
    """Start who has died; say when that was, if anybody had."""
    dead = [slot for slot, each in tried.flock.processes.items() if each.poll() is not None]
    for slot in dead:
        tried.figures.hit("workers that died")
        tried.flock.processes.pop(slot)
        tried.flock.start(slot)
    return time.monotonic() if dead else None
