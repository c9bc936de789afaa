"""Do a step of a batch however long a fault of the machine or the model lasts, and tell of it.

A batch enters, a batch without its poison leaves. While the fault lasts the step waits and tries
again, by itself; what polls is another thread, so the worker stays in its group.
"""

import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Final

import structlog

from worker.metrics import Metrics, Step
from worker.poison import Item, MachineFault, Poison, Result, Sifted, Work, sift

PAUSE_FIRST_S: Final = 0.5
# A fault that has ended is noticed after this long at most.
PAUSE_MAX_S: Final = 10.0
# Posts that raise alike may be many: the log names their kind this often.
TELL_AGAIN_S: Final = 30.0


def pause_s(tries: int) -> float:
    """How long to wait after so many tries that came to nothing before this one."""
    return float(min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** min(tries, 20)))


class Endurance:
    """What the steps of one worker go through; each step belongs to one thread."""

    def __init__(self, metrics: Metrics, abandon: threading.Event) -> None:
        """Go on trying until `abandon`."""
        self._metrics = metrics
        self._abandon = abandon
        self._troubles: dict[Step, str] = {}
        self._told_s: dict[tuple[Step, str, str], float] = {}
        self._log = structlog.get_logger()

    @property
    def trouble(self) -> str:
        """What holds a step up; empty when nothing does."""
        return next(iter(tuple(self._troubles.values())), "")

    def through(
        self, step: Step, batch: Sequence[Item], work: Work[Item, Result], probe: Item
    ) -> Sifted[Item, Result]:
        """Do `work` on all but the poison, whenever that may be; on nothing once abandoned."""
        began_s = time.monotonic()
        for tries in count():
            try:
                found = sift(batch, work, probe, tries)
            except MachineFault as fault:
                self._hold(step, fault, tries)
                if self._abandon.wait(pause_s(tries)):
                    break
                continue
            if tries:
                self._release(step, time.monotonic() - began_s)
            if found.poison:
                self._tell(step, found.poison)
            return found
        return Sifted((), ())

    def _hold(self, step: Step, fault: MachineFault, tries: int) -> None:
        self._troubles[step] = f"{step} is held up, and tried again until it goes on: {fault}"
        self._metrics.held_up(step, held=True)
        self._metrics.fault(step)
        if not tries:
            self._log.error("held up by a fault, no post is lost", step=step, why=str(fault))

    def _release(self, step: Step, held_s: float) -> None:
        del self._troubles[step]
        self._metrics.held_up(step, held=False)
        self._log.info("goes on after a fault", step=step, held_s=round(held_s, 1))

    def _tell(self, step: Step, poison: Sequence[Poison[Item]]) -> None:
        """Log each kind of poison now and then; `tuwen_rejects_total` counts all of it."""
        now_s = time.monotonic()
        for error, place in dict.fromkeys((each.error, each.place) for each in poison):
            kind = (step, error, place)
            if now_s - self._told_s.get(kind, -TELL_AGAIN_S) >= TELL_AGAIN_S:
                self._told_s[kind] = now_s
                self._log.warning("poison set aside", step=step, error=error, place=place)
