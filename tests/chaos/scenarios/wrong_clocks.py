"""Let the wall clocks of two workers be hours off, by faketime; monotonic time is left alone."""

import datetime as dt
import json
from pathlib import Path
from typing import Final

from tests.chaos.fleet import Fleet
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.trial import trial

OFF_H: Final = {0: 2, 1: -2}
"""Slot to hours; a third worker has the right time."""
TOLERANCE_S: Final = 600.0
PLACES: Final = ("/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/lib/faketime/libfaketimeMT.so.1")


def run(place: Place, load: Load) -> Figures:
    """Nothing may come of it; the workers' own log shows that their clocks are wrong."""
    environments = {slot: _wrong_by(hours) for slot, hours in OFF_H.items()}
    with trial(place, load, workers=len(OFF_H) + 1, environments=environments) as tried:
        pass
    for slot, hours in OFF_H.items():
        off_s = _off_s(tried.flock, slot)
        right = abs(off_s - hours * 3600) < TOLERANCE_S
        tried.figures.hit("wrong clocks", int(right))
        tried.figures.demand(right, f"slot {slot} is {off_s:.0f} s off, not {hours} h")
    return tried.figures


def lacking() -> str:
    """Say why it cannot run here; empty when it can."""
    return "" if _library() else "libfaketime is missing: apt-get install faketime"


def _library() -> Path | None:
    found = [path for place in PLACES for path in Path("/").glob(place.removeprefix("/"))]
    return found[0] if found else None


def _wrong_by(hours: int) -> dict[str, str]:
    return {
        "LD_PRELOAD": str(_library()),
        "FAKETIME": f"{hours:+d}h",
        # The name of older versions, and of newer.
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def _off_s(flock: Fleet, slot: int) -> float:
    """Compare what a worker wrote last, at its stop, with the time of that."""
    *_, last = (line for line in flock.log(slot).splitlines() if line.startswith("{"))
    said = dt.datetime.fromisoformat(json.loads(last)["timestamp"])
    return (said - dt.datetime.now(dt.UTC)).total_seconds()
