"""The threads of the stages, their queues and their bounds; the only module that knows all.

    poll thread     poll → inbox                    owns the consumer, never stops polling
    prepare thread  decode → fetch → features       the next batch, while
    infer thread    inference → fusion → publish    this one is scored, and
    commit thread   outcomes and offsets            the last one is committed
    trials thread   all stages, in a child          what owners before may have died of

A batch is whatever arrived while the one before was being worked on.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from inference.classifier import Classifier
from worker import probe
from worker.batching import Inbox
from worker.commit import Committer
from worker.endurance import Endurance
from worker.fetch import Fetcher
from worker.image_failures import image_failures
from worker.images.cache import ImageCache
from worker.images.decoder import Decoder
from worker.images.sources import ImageSource
from worker.kafka.broker import Broker
from worker.messages import Record
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.polling import POLL_S, Poller
from worker.probe import probe_of
from worker.publish import Publisher
from worker.retries import Retries
from worker.settings import WorkerSettings
from worker.stages import Prepared, Stages
from worker.trials import StartChild, Trials

# One batch in inference, one ready.
PREPARED_BATCHES_MAX: Final = 1
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
        start_child: StartChild | None = None,
    ) -> None:
        """Wire the stages; without `start_child` no record is tried in a child."""
        self._broker = broker
        self._settings = settings
        self._ledger = Ledger()
        self._inbox = Inbox(settings.batch_records_max)
        self._prepared: queue.Queue[Prepared | None] = queue.Queue(PREPARED_BATCHES_MAX)
        self._scored = threading.Event()
        self._abandon = threading.Event()
        self._poller = Poller(broker, self._ledger, self._inbox, settings, metrics, self._abandon)
        self._committer = Committer(
            broker, self._ledger, publisher, settings, metrics, self._poller.committed
        )
        self._endurance = Endurance(metrics, self._abandon)
        modalities = classifier.manifest.modalities
        # The worker's own post is there to see the decoder and the CNN at work.
        bytes_max, never = int(settings.image_cache_bytes_max), probe.POST.image
        cache = ImageCache(bytes_max, classifier.identity, metrics, never)
        failures = image_failures(settings.on_image_failure)
        fetcher = Fetcher(source, decoder, modalities, failures, cache)
        self._retries = Retries(self._ledger, settings, metrics)
        self._stages = Stages(
            classifier, fetcher, publisher, metrics, self._endurance, self._retries, cache
        )
        self._trials = start_child and Trials(
            self._ledger,
            start_child,
            probe_of(classifier.manifest).record,
            publisher,
            self._endurance,
            metrics,
        )
        self._failure: BaseException | None = None
        self._log = structlog.get_logger()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`: then finish what is begun, commit it, and leave the group if told to.

        Raises:
            BrokerError: the worker cannot go on, and should not be tried again unchanged.
            Exception: a thread failed; nothing of its batch was committed.
        """
        threads = [
            self._thread("prepare", self._prepare_all),
            self._thread("infer", self._infer_all),
            self._thread("commit", lambda: self._committer.run(self._scored, self._abandon)),
        ]
        if self._trials:
            threads.append(self._thread("trials", self._trials.run))
        try:
            while not stop.is_set() and self._failure is None:
                self._poller.turn()
            self._drain(threads)
        finally:
            self._abandon.set()
            self._inbox.close()
            if self._trials:
                self._trials.close()
                self._trials.end()
            for thread in threads:
                thread.join(JOIN_S)
            self._broker.close(self._settings.stop_timeout_s, leave=self._settings.leave_on_stop)
        if self._failure is not None:
            raise self._failure

    def state(self) -> PipelineState:
        """Say whether the worker does its work; without a partition it is ready, and idle."""
        partitions = len(self._ledger.owned)
        trouble = self._poller.trouble or self._committer.trouble or self._endurance.trouble
        reason = trouble or ("" if partitions else "idle, no partition")
        return PipelineState(not trouble, partitions, reason, self._poller.stalled_s)

    @property
    def in_flight(self) -> int:
        """Records that were polled and are not committed."""
        return self._ledger.load[0]

    # The poll thread.

    def _drain(self, threads: Sequence[threading.Thread]) -> None:
        """Let the begun batches end and be committed, and poll meanwhile."""
        deadline_s = time.monotonic() + self._settings.stop_timeout_s
        self._poller.drain()
        if self._trials:
            self._trials.close()
        while any(t.is_alive() for t in threads) and time.monotonic() < deadline_s:
            if self._failure is not None:
                return
            self._poller.turn()
        if any(t.is_alive() for t in threads):
            self._log.warning("stopped before all was committed; who owns it next does it again")

    # The prepare thread.

    def _prepare_all(self) -> None:
        while (records := self._inbox.take(self._retries.wait_s())) or not self._inbox.closed:
            current = self._without_doubtful(self._ledger.current(records))
            if current:
                self._hand_over(self._stages.prepare(current))
            due = self._retries.due()
            if due:
                self._hand_over(self._stages.prepare((), due))
        self._hand_over(None)

    def _without_doubtful(self, records: Sequence[Record]) -> Sequence[Record]:
        """Have those tried in a child that owners before may have died of; give the others."""
        doubtful = self._ledger.doubtful(records) if self._trials else ()
        if not self._trials or not doubtful:
            return records
        self._trials.put(doubtful)
        tried = set(map(id, doubtful))
        return [record for record in records if id(record) not in tried]

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
