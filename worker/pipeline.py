"""The threads of the stages, their queues and their bounds; the only module that knows all.

    poll thread     poll → inbox                    owns the consumer, never stops polling
    prepare thread  decode → fetch → features       the next batch, while
    infer thread    inference → fusion → publish    this one is scored, and
    commit thread   outcomes and offsets            the last one is committed

A batch is whatever arrived while the one before was being worked on. What is polled and not yet
committed is bounded in records and bytes: above the bound all partitions are paused, and polling
goes on without records.
"""

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from inference.classifier import Classifier
from worker.batching import Inbox
from worker.commit import Committer
from worker.endurance import Endurance
from worker.errors import OffsetOutOfRange, Unavailable, Undecodable
from worker.fetch import Fetcher
from worker.images.decoder import Decoder
from worker.images.sources import ImageSource
from worker.kafka.broker import Broker, Polled, Position
from worker.lag import LagWatch
from worker.messages import Partition
from worker.metrics import Change, Metrics
from worker.offsets import Ledger
from worker.publish import Publisher
from worker.settings import WorkerSettings
from worker.stages import Prepared, Stages

# Polling at least this often keeps the membership alive, whatever the other stages do.
POLL_S: Final = 0.2
# While paused an empty poll costs half a millisecond of CPU; half of what may be in flight lasts
# the stages longer than this.
PAUSED_POLL_S: Final = 0.05
# One batch in inference, one ready.
PREPARED_BATCHES_MAX: Final = 1
LAG_EVERY_S: Final = 2.0
CONSUMER_CALL_S: Final = 2.0
# What an abandoned thread gets to end its step before the broker is closed under it.
JOIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class PipelineState:
    """What an operator asks first. `stalled_s` is the time since the last poll came back."""

    ready: bool
    partitions: int
    reason: str
    stalled_s: float


class Pipeline:
    """Runs the stages of one worker; `run` blocks the calling thread, which polls."""

    def __init__(
        self,
        broker: Broker,
        classifier: Classifier,
        source: ImageSource,
        decoder: Decoder,
        publisher: Publisher,
        settings: WorkerSettings,
        metrics: Metrics,
    ) -> None:
        self._broker = broker
        self._settings = settings
        self._metrics = metrics
        self._ledger = Ledger()
        self._inbox = Inbox(settings.batch_records_max)
        self._prepared: queue.Queue[Prepared | None] = queue.Queue(PREPARED_BATCHES_MAX)
        self._calls: queue.SimpleQueue[
            tuple[Collection[Partition], Future[Mapping[Partition, Position]]]
        ] = queue.SimpleQueue()
        self._committer = Committer(
            broker, self._ledger, publisher, settings, metrics, self._ask_committed
        )
        self._scored = threading.Event()
        self._abandon = threading.Event()
        self._endurance = Endurance(metrics, self._abandon)
        modalities = classifier.manifest.modalities
        fetcher = Fetcher(source, decoder, modalities, settings.on_image_failure)
        self._stages = Stages(classifier, fetcher, publisher, metrics, self._endurance)
        self._failure: BaseException | None = None
        self._trouble = "has not joined the group yet"
        self._polled_s = time.monotonic()
        self._lag = LagWatch(metrics, settings.stalled_after_s)
        self._lag_s = 0.0
        self._paused = False
        self._draining = False
        self._halted: set[Partition] = set()
        self._log = structlog.get_logger()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`: then finish what is begun, commit it, and leave the group.

        Raises:
            BrokerError: the worker cannot go on, and should not be tried again unchanged.
            Exception: a thread failed; nothing of its batch was committed.
        """
        threads = [
            self._thread("prepare", self._prepare_all),
            self._thread("infer", self._infer_all),
            self._thread("commit", lambda: self._committer.run(self._scored, self._abandon)),
        ]
        try:
            while not stop.is_set() and self._failure is None:
                self._turn()
            self._drain(threads)
        finally:
            self._abandon.set()
            self._inbox.close()
            for thread in threads:
                thread.join(JOIN_S)
            self._broker.close(self._settings.stop_timeout_s, leave=True)
        if self._failure is not None:
            raise self._failure

    def state(self) -> PipelineState:
        """Say whether the worker does its work; without a partition it is ready, and idle."""
        partitions = len(self._ledger.owned)
        trouble = self._trouble or self._committer.trouble or self._endurance.trouble
        reason = trouble or ("" if partitions else "idle, no partition")
        return PipelineState(not trouble, partitions, reason, time.monotonic() - self._polled_s)

    @property
    def in_flight(self) -> int:
        """Records that were polled and are not committed."""
        return self._ledger.load[0]

    # The poll thread.

    def _turn(self) -> None:
        """Poll once, keep the books, answer what the commit thread asked."""
        polled = self._poll()
        if polled is not None:
            self._note_ownership(polled)
            owned = self._ledger.polled(polled)
            if owned:
                self._inbox.put(owned)
        self._throttle()
        self._answer_calls()
        self._measure()

    def _poll(self) -> Polled | None:
        timeout_s = PAUSED_POLL_S if self._paused else POLL_S
        try:
            polled = self._broker.poll(timeout_s, self._settings.poll_records_max)
        except Unavailable as error:
            self._trouble = str(error)
            self._log.warning("the broker does not answer", why=str(error))
            # Polling goes on: no restart of this worker brings the broker back.
            self._polled_s = time.monotonic()
            self._abandon.wait(POLL_S)
            return None
        except (Undecodable, OffsetOutOfRange) as error:
            self._note_halt(error)
            return None
        self._polled_s = time.monotonic()
        if polled.membership is not None:
            self._trouble = self._halted_names()
        return polled

    def _note_halt(self, error: Undecodable | OffsetOutOfRange) -> None:
        """Tell of a partition that the broker stopped; nothing good is skipped, nothing lost."""
        self._halted.add(error.partition)
        self._trouble = self._halted_names()
        self._log.error("partition stopped", why=str(error))

    def _halted_names(self) -> str:
        if not self._halted:
            return ""
        names = ", ".join(f"{p.topic}/{p.number}" for p in sorted(self._halted))
        return f"stopped, see the log: {names}"

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
            self._halted.discard(partition)
            self._lag.forget(partition)
        if polled.gained and self._paused:
            self._broker.pause(polled.gained)

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
        elif self._paused and load <= 1 / 2 and not self._draining:
            self._paused = False
            self._broker.resume(self._ledger.owned)

    def _answer_calls(self) -> None:
        while not self._calls.empty():
            partitions, answer = self._calls.get()
            try:
                answer.set_result(self._broker.committed(partitions, CONSUMER_CALL_S))
            except Unavailable as error:
                answer.set_exception(error)

    def _ask_committed(self, partitions: Collection[Partition]) -> Mapping[Partition, Position]:
        """Have the poll thread ask the group's positions; called by the commit thread."""
        answer: Future[Mapping[Partition, Position]] = Future()
        self._calls.put((partitions, answer))
        try:
            return answer.result(CONSUMER_CALL_S + POLL_S + CONSUMER_CALL_S)
        except TimeoutError as error:
            raise Unavailable("the poll thread gave no positions in time") from error

    def _measure(self) -> None:
        """Tell queues and lag, now and then: the ends of the logs cost a request."""
        now_s = time.monotonic()
        if now_s - self._lag_s < LAG_EVERY_S:
            return
        self._lag_s = now_s
        self._metrics.queue("inbox", len(self._inbox))
        self._metrics.queue("in-flight", self.in_flight)
        positions = {p: o for p, o in self._ledger.positions().items() if o is not None}
        self._metrics.assigned(len(self._ledger.owned))
        try:
            ends = self._broker.ends(positions, CONSUMER_CALL_S) if positions else {}
        except Unavailable:
            ends = {}
        self._lag.look(positions, ends, time.monotonic())

    def _drain(self, threads: Sequence[threading.Thread]) -> None:
        """Let the begun batches end and be committed; polling keeps the membership meanwhile."""
        deadline_s = time.monotonic() + self._settings.stop_timeout_s
        self._inbox.close()
        self._draining = self._paused = True
        self._broker.pause(self._ledger.owned)
        while any(t.is_alive() for t in threads) and time.monotonic() < deadline_s:
            if self._failure is not None:
                return
            self._turn()
        if any(t.is_alive() for t in threads):
            self._log.warning("stopped before all was committed; who owns it next does it again")

    # The prepare thread.

    def _prepare_all(self) -> None:
        while records := self._inbox.take():
            current = self._ledger.current(records)
            if current:
                self._hand_over(self._stages.prepare(current))
        self._hand_over(None)

    def _hand_over(self, prepared: Prepared | None) -> None:
        while not self._abandon.is_set():
            with suppress(queue.Full):
                self._prepared.put(prepared, timeout=POLL_S)
                return

    # The infer thread.

    def _infer_all(self) -> None:
        while not self._abandon.is_set():
            try:
                prepared = self._prepared.get(timeout=POLL_S)
            except queue.Empty:
                continue
            if prepared is None:
                break
            self._ledger.settle(self._stages.outcomes(prepared))
        self._scored.set()

    # All of them.

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
        thread.start()
        return thread

    def _guarded(self, work: Callable[[], None]) -> None:
        """End the worker with the failure of a stage; the poll thread raises it."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the poll thread, which raises it.
            self._failure = self._failure or error
