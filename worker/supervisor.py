"""Run one worker here, or several under this process, which restarts the dead and speaks for all.

Settings enter, an exit code leaves: 0 stopped as told, 1 a child did not stop, 2 refused.
"""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
)

from worker import logs
from worker.children import Child
from worker.endpoints import Endpoints, Health, Pages, PortTaken
from worker.errors import SlotTaken
from worker.exit_codes import FAILED, REFUSED, STOPPED, refuse
from worker.exposition import merged, page
from worker.images import host_reports
from worker.settings import WorkerSettings
from worker.slots import claimed
from worker.stopping import GRACE_S, Stopping, end_at_once, heeding_signals

LOOK_EVERY_S: Final = 0.1
RESTART_FIRST_S: Final = 0.2
RESTART_MAX_S: Final = 30.0
LIVED_WELL_S: Final = 10.0
"""A child that lived this long starts anew without a history."""

Start = Callable[[WorkerSettings], Child]


def run(settings: WorkerSettings) -> int:
    """Run as many workers as the settings say; a single one runs in this process."""
    if settings.processes > 1:
        return Supervisor(settings).run()
    # Not before it is needed: a parent of workers has no use for a model's runtime.
    from worker import process

    try:
        with claimed(settings.group, settings.instance, settings.slot) as slot:
            return process.run(settings, slot)
    except SlotTaken as error:
        return refuse(str(error))


def restart_delay_s(deaths: int, chance: float) -> float:
    """How long to wait before the start after `deaths` in a row; `chance` is in [0, 1)."""
    longest_s: float = min(RESTART_MAX_S, RESTART_FIRST_S * 2 ** min(deaths - 1, 20))
    # Half of it by chance, so that children that died together do not come back together.
    return longest_s * (0.5 + chance / 2)


@dataclass(slots=True)
class Seat:
    """A place for a child: who sits there, how often one died there, when the next may start."""

    child: Child | None = None
    deaths: int = 0
    due_s: float = 0.0


class Supervisor:
    """The parent of several workers."""

    def __init__(self, settings: WorkerSettings, start: Start = Child) -> None:
        self._settings = settings
        # Children serve their pages to the parent alone.
        self._own = settings.model_copy(
            update={"metrics_host": "127.0.0.1", "metrics_port": None, "processes": 1}
        )
        self._start = start
        self._seats = [Seat() for _ in range(settings.processes)]
        self._served = False
        self._registry = CollectorRegistry()
        self._alive = Gauge("tuwen_children", "Worker processes alive.", registry=self._registry)
        self._restarts = Counter(
            "tuwen_child_restarts", "Worker processes started anew.", registry=self._registry
        )
        self._asking = ThreadPoolExecutor(min(8, settings.processes), "asking")
        self._stopping = Stopping(settings.stop_timeout_s + GRACE_S, self._end_at_once)
        self._log = structlog.get_logger()

    def run(self) -> int:
        """Keep the children running until told to stop; then give them time to finish."""
        ProcessCollector(registry=self._registry)
        logs.configure(self._settings.log_format, self._settings.log_level, "parent")
        with ExitStack() as closing:
            closing.callback(self._stopping.done)
            closing.callback(self._asking.shutdown)
            closing.enter_context(heeding_signals(self._stopping))
            try:
                endpoints = self._endpoints()
            except PortTaken as error:
                return refuse(str(error))
            closing.callback(endpoints.close)
            return self._keep_running()

    def _keep_running(self) -> int:
        why = ""
        try:
            while not (why or self._stopping.event.is_set()):
                why = self._look_after_all(time.monotonic())
                self._stopping.event.wait(LOOK_EVERY_S)
        finally:
            stopped = self._stop_all()
        if why:
            return refuse(why)
        return STOPPED if stopped else FAILED

    def _look_after_all(self, now_s: float) -> str:
        """Bury and start; give the reason when no child can start at all."""
        for seat in self._seats:
            why = self._look_after(seat, now_s)
            if why:
                return why
        self._alive.set(len(self._children()))
        return ""

    def _look_after(self, seat: Seat, now_s: float) -> str:
        child = seat.child
        if child is None:
            if now_s >= seat.due_s:
                self._restarts.inc(seat.deaths > 0)
                seat.child = self._start(self._own)
            return ""
        self._served = self._served or child.said.port is not None
        code = child.exit_code()
        if code is None:
            return ""
        refused = child.said.refused or ""
        # A first start that is refused would be refused again, and a new one would take the slot
        # back from who took it, for ever: the operator must see to it.
        if code == REFUSED and refused and (child.said.taken or not self._served):
            return refused
        self._bury(seat, child, code, now_s)
        return ""

    def _bury(self, seat: Seat, child: Child, code: int, now_s: float) -> None:
        lived_well = now_s - child.started_s >= LIVED_WELL_S
        seat.deaths = 1 if lived_well else seat.deaths + 1
        delay_s = restart_delay_s(seat.deaths, random.random())  # noqa: S311 - no secret.
        seat.child, seat.due_s = None, now_s + delay_s
        self._log.warning(
            "a worker ended, and is started anew",
            pid=child.pid,
            exit_code=code,
            why=child.said.refused,
            in_s=round(delay_s, 2),
        )

    def _children(self) -> list[Child]:
        return [seat.child for seat in self._seats if seat.child is not None]

    def _stop_all(self) -> bool:
        """Ask all to finish and wait; kill who does not. Say whether all stopped by themselves."""
        for child in self._children():
            child.stop()
        deadline_s = time.monotonic() + self._settings.stop_timeout_s + GRACE_S
        while time.monotonic() < deadline_s:
            if all(child.exit_code() is not None for child in self._children()):
                break
            time.sleep(LOOK_EVERY_S / 2)
        late = [child for child in self._children() if child.exit_code() is None]
        for child in late:
            child.kill()
            self._log.error("a worker did not stop, and was killed", pid=child.pid)
        self._log.info("stopped", workers=len(self._seats))
        return not late

    def _end_at_once(self, last_word: str) -> None:
        for child in self._children():
            child.kill()
        end_at_once(last_word)

    # What it shows.

    def _endpoints(self) -> Endpoints:
        pages = Pages(
            self._metrics, lambda: Health(True, "alive"), self._ready, self._worst_image_hosts
        )
        host = self._settings.metrics_host
        endpoints = Endpoints(host, self._settings.metrics_port, pages)
        self._log.info("serving metrics", url=f"http://{host}:{endpoints.port}/metrics")
        return endpoints

    def _ask_all(self, path: str) -> list[tuple[int, bytes] | None]:
        return list(self._asking.map(lambda child: child.ask(path), self._children()))

    def _metrics(self) -> bytes:
        answers = self._ask_all("/metrics")
        pages = [answer[1] for answer in answers if answer is not None]
        return merged([page(self._registry, "parent"), *pages])

    def _worst_image_hosts(self) -> bytes:
        answers = self._ask_all("/debug/images")
        return host_reports.merged(answer[1] for answer in answers if answer is not None)

    def _ready(self) -> Health:
        """Ready when all are; else say of the first that is not why."""
        answers = self._ask_all("/readyz")
        reasons = [
            answer[1].decode().strip() if answer else "starting"
            for answer in answers
            if answer is None or answer[0] != 200
        ]
        ready, all_of_them = len(answers) - len(reasons), len(self._seats)
        why = "".join(f": {reason}" for reason in reasons[:1])
        return Health(ready == all_of_them, f"{ready} of {all_of_them} workers are ready{why}")
