"""Work on records that owners before may have died of: one at a time, in a child.

Doubtful records enter, outcomes leave to the ledger, which commits them as any others. Who ends
the child twice, while the worker's own post passes in between, is poison. The thread is the
worker's fifth, and has nothing to do most of its life; docs/decisions/0032 says what it is for.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Final

import structlog

from schemas.reasons import Reason
from worker.endurance import Endurance
from worker.messages import Outcome, Record, Reject
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.poison import MachineFault, Poison
from worker.publish import Publisher
from worker.trial_child import Died, TrialChild

IDLE_S: Final = 30.0
"""After so long without one to try the child, which holds the model a second time, is ended."""

StartChild = Callable[[], TrialChild]


class Trials:
    """The records on trial in one worker, and the child; `run` is their thread."""

    def __init__(
        self,
        ledger: Ledger,
        start: StartChild,
        probe: Record,
        publisher: Publisher,
        endurance: Endurance,
        metrics: Metrics,
        idle_s: float = IDLE_S,
    ) -> None:
        self._ledger = ledger
        self._start = start
        self._probe = probe
        self._publisher = publisher
        self._endurance = endurance
        self._metrics = metrics
        self._idle_s = idle_s
        self._waiting: queue.SimpleQueue[Record | None] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._child: TrialChild | None = None
        self._how = ""
        self._log = structlog.get_logger()

    def put(self, records: Iterable[Record]) -> None:
        """Hand doubtful records over; their number is bounded by what may be in flight."""
        for record in records:
            self._waiting.put(record)

    def close(self) -> None:
        """Begin with no other: who owns them next tries them."""
        self._closed.set()
        self._waiting.put(None)

    def end(self) -> None:
        """End the child, whatever it is at."""
        child = self._child
        if child is not None:
            child.kill()

    def run(self) -> None:
        """Try records until `close`."""
        try:
            while not self._closed.is_set():
                try:
                    record = self._waiting.get(timeout=self._idle_s)
                except queue.Empty:
                    self._end_child()
                    continue
                if record is not None and self._ledger.current([record]):
                    self._try(record)
        finally:
            self._end_child()

    def _try(self, record: Record) -> None:
        done = self._endurance.through("trial", [record], self._outcomes, self._probe)
        outcomes = chain.from_iterable(part.result for part in done.passed)
        letters = [self._convicted(each) for each in done.poison]
        self._metrics.tried(passed=len(done.passed), convicted=len(letters))
        self._ledger.settle([*outcomes, *letters])

    def _convicted(self, poison: Poison[Record]) -> Outcome:
        partition = poison.item.partition
        self._log.error(
            "a post ends the process that works on it, and is set aside",
            topic=partition.topic,
            partition=partition.number,
            offset=poison.item.offset,
            by=self._how,
        )
        detail = f"ends the process that works on it ({self._how}), alone and again"
        return self._publisher.dead_letter(Reject(poison.item, Reason.POISON, detail, "trial"))

    def _outcomes(self, records: Sequence[Record]) -> list[Outcome]:
        return [self._outcome(record) for record in records]

    def _outcome(self, record: Record) -> Outcome:
        """Have the child work on it. Raises Died, and MachineFault where no record is to blame."""
        child = self._ready_child()
        try:
            return child.work_on(record).of(record)
        except Died as died:
            self._how = died.how
            self._end_child()
            if self._closed.is_set():
                # It may have been this worker that ended it.
                raise MachineFault("the worker is about to stop") from died
            self._log.warning("the child that tries posts has died", by=died.how)
            raise
        except MachineFault:
            self._end_child()
            raise

    def _ready_child(self) -> TrialChild:
        if self._closed.is_set():
            raise MachineFault("the worker is about to stop")
        if self._child is None:
            self._child = self._start()
            try:
                self._child.wait_ready()
            except MachineFault:
                self._end_child()
                raise
        assert self._child is not None
        return self._child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.close()
