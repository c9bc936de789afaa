"""What the poll thread does in one turn: poll, keep the books, and never wait for another stage.

Records leave to the inbox, ownership and membership to the ledger. Above the bound of what may be
in flight all partitions are paused, and polling goes on without records.
"""

import queue
import threading
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Final

import structlog

from worker.attempts import SUSPICIOUS, attempts_in
from worker.batching import Inbox
from worker.errors import OffsetOutOfRange, Unavailable, Undecodable
from worker.halts import Halts
from worker.kafka.broker import Broker, Polled, Position
from worker.lag import LagWatch
from worker.messages import Partition
from worker.metrics import Change, Metrics
from worker.offsets import Ledger
from worker.settings import WorkerSettings

# Polling at least this often keeps the membership alive, whatever the other stages do.
POLL_S: Final = 0.2
# While paused an empty poll costs half a millisecond of CPU; half of what may be in flight lasts
# the stages longer than this.
PAUSED_POLL_S: Final = 0.05
# While the commit thread marks what was gained: its records are handed on by the next turn.
MARKING_POLL_S: Final = 0.01
LAG_EVERY_S: Final = 2.0
CONSUMER_CALL_S: Final = 2.0
# The offsets of a partition that was gained may wait for a transaction of the owner before.
GAINED_CALL_S: Final = 0.5


class Poller:
    """Owns the consumer: all but `committed` belong to the poll thread."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        inbox: Inbox,
        settings: WorkerSettings,
        metrics: Metrics,
        abandon: threading.Event,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._inbox = inbox
        self._settings = settings
        self._metrics = metrics
        self._abandon = abandon
        self._calls: queue.SimpleQueue[
            tuple[Collection[Partition], Future[Mapping[Partition, Position]]]
        ] = queue.SimpleQueue()
        self._polled_s = time.monotonic()
        self._lag = LagWatch(metrics, settings.stalled_after_s)
        self._lag_s = 0.0
        self._paused = False
        self._halts = Halts(broker, settings, metrics)
        self._log = structlog.get_logger()
        self.trouble = "has not joined the group yet"
        self.draining = False

    @property
    def stalled_s(self) -> float:
        """The time since the last poll came back."""
        return time.monotonic() - self._polled_s

    def turn(self) -> None:
        """Poll once, keep the books, answer what the commit thread asked."""
        polled = self._poll()
        if polled is not None:
            self._note_ownership(polled)
            self._ledger.polled(polled)
        self._ask_how_often_begun()
        admitted = self._ledger.admit()
        if admitted:
            self._inbox.put(admitted)
        self._throttle()
        self._answer_calls()
        self._measure()

    def drain(self) -> None:
        """Read no more; to go on with turns keeps the membership meanwhile."""
        self._inbox.close()
        self.draining = self._paused = True
        self._broker.pause(self._ledger.owned)

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, Position]:
        """Have the poll thread ask the group's positions; called by the commit thread."""
        answer: Future[Mapping[Partition, Position]] = Future()
        self._calls.put((partitions, answer))
        try:
            return answer.result(CONSUMER_CALL_S + POLL_S + CONSUMER_CALL_S)
        except TimeoutError as error:
            raise Unavailable("the poll thread gave no positions in time") from error

    def _poll(self) -> Polled | None:
        timeout_s = PAUSED_POLL_S if self._paused else POLL_S
        if self._ledger.marking:
            timeout_s = MARKING_POLL_S
        try:
            polled = self._broker.poll(timeout_s, self._settings.poll_records_max)
        except Unavailable as error:
            self.trouble = str(error)
            self._log.warning("the broker does not answer", why=str(error))
            # Polling goes on: no restart of this worker brings the broker back.
            self._polled_s = time.monotonic()
            self._abandon.wait(POLL_S)
            return None
        except (Undecodable, OffsetOutOfRange) as error:
            self._halts.note(error)
            self.trouble = self._halts.trouble
            return None
        self._polled_s = time.monotonic()
        if polled.membership is not None:
            self.trouble = self._halts.trouble
        return polled

    def _note_ownership(self, polled: Polled) -> None:
        changes: Mapping[Change, Collection[Partition]] = {
            "gained": polled.gained,
            "revoked": polled.revoked,
            "lost": polled.lost,
        }
        for kind, partitions in changes.items():
            if partitions:
                self._metrics.rebalance(kind, len(partitions))
                self._log.info(
                    "partitions " + kind, partitions=sorted(p.number for p in partitions)
                )
        for partition in (*polled.revoked, *polled.lost):
            self._halts.forget(partition)
            self._lag.forget(partition)
        if polled.gained and self._paused:
            self._broker.pause(polled.gained)

    def _ask_how_often_begun(self) -> None:
        """Ask of partitions that were gained; in vain, it is asked again: their records wait."""
        unasked = self._ledger.unasked()
        if not unasked or self.draining:
            return
        try:
            found = self._broker.committed(unasked, GAINED_CALL_S)
            attempts = {partition: attempts_in(found[partition].note) for partition in found}
            failed = [partition for partition in found if attempts[partition] >= SUSPICIOUS]
            ends = self._broker.ends(failed, GAINED_CALL_S) if failed else {}
        except Unavailable as error:
            self._log.debug("a gained partition has to wait", why=str(error))
            return
        # No owner before had more in flight, if its settings were the same.
        doubtful_max = self._settings.in_flight_records_max + self._settings.poll_records_max
        self._ledger.asked(unasked, found, ends, doubtful_max)
        for partition in failed:
            self._log.warning(
                "owners of a partition ended before they came to a commit: its next posts are "
                "tried one at a time, in a child",
                partition=partition.number,
                attempts=attempts[partition],
            )

    def _throttle(self) -> None:
        """Pause above the bound, resume at half of it."""
        records, size = self._ledger.load
        load = max(
            records / self._settings.in_flight_records_max,
            size / self._settings.in_flight_bytes_max,
        )
        if not self._paused and load >= 1:
            self._paused = True
            self._broker.pause(self._ledger.owned)
        elif self._paused and load <= 1 / 2 and not self.draining:
            self._paused = False
            self._broker.resume(self._ledger.owned)

    def _answer_calls(self) -> None:
        while not self._calls.empty():
            partitions, answer = self._calls.get()
            try:
                answer.set_result(self._broker.committed(partitions, CONSUMER_CALL_S))
            except Unavailable as error:
                answer.set_exception(error)

    def _measure(self) -> None:
        """Tell queues and lag, now and then: the ends of the logs cost a request."""
        now_s = time.monotonic()
        if now_s - self._lag_s < LAG_EVERY_S:
            return
        self._lag_s = now_s
        self._metrics.queue("inbox", len(self._inbox))
        self._metrics.queue("in-flight", self._ledger.load[0])
        positions = {p: o for p, o in self._ledger.positions().items() if o is not None}
        self._metrics.assigned(len(self._ledger.owned))
        try:
            ends = self._broker.ends(positions, CONSUMER_CALL_S) if positions else {}
        except Unavailable:
            ends = {}
        self._lag.look(positions, ends, time.monotonic())
