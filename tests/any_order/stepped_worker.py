"""A worker without threads: a pipeline that is never run, each of whose turns is a call."""

from collections import deque
from collections.abc import Collection, Mapping
from functools import cache
from typing import Final, cast

from inference.classifier import Classifier
from tests.unit.worker.bench import MODEL, LengthClassifier, NoImages
from worker.kafka.broker import Broker, Position
from worker.messages import Partition
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.publish import Publisher
from worker.settings import WorkerSettings
from worker.stages import Prepared

# One batch in inference, one ready.
PREPARED_MAX: Final = 2


@cache
def settings() -> WorkerSettings:
    """Small bounds: partitions are paused, and outcomes of a poll are committed in parts."""
    return WorkerSettings(batch_records_max=2, poll_records_max=3, in_flight_records_max=5)


class SteppedWorker:
    """What a process of the product does, one turn of one of its threads at a time."""

    def __init__(self, broker: Broker, metrics: Metrics) -> None:
        self._broker = broker
        self._pipeline = Pipeline(
            broker,
            cast("Classifier", LengthClassifier()),
            NoImages(),
            NoImages(),
            Publisher("verdicts", 2, "letters", MODEL, ("yes", "no")),
            settings(),
            metrics,
        )
        self._ledger = self._pipeline._ledger
        self._prepared: deque[Prepared] = deque()
        # In one thread nobody else would do what is waited for.
        self._pipeline._abandon.set()
        self._pipeline._committer._settle_s = 0.0
        self._pipeline._committer._committed = self._committed

    def poll(self) -> None:
        """Take the poll thread's turn."""
        self._pipeline._poller.turn()

    def prepare(self) -> None:
        """Take the prepare thread's turn, if it has anything to do."""
        inbox = self._pipeline._inbox
        if len(inbox) and len(self._prepared) < PREPARED_MAX:
            current = self._ledger.current(inbox.take())
            if current:
                self._prepared.append(self._pipeline._stages.prepare(current))

    def infer(self) -> None:
        """Take the infer thread's turn, if it has anything to do."""
        if self._prepared:
            self._ledger.settle(self._pipeline._stages.outcomes(self._prepared.popleft()))

    def infer_last(self) -> None:
        """Come to the outcomes of a later batch first, as when one before is tried again."""
        self._prepared.rotate(1)
        self.infer()

    def commit(self) -> None:
        """Take the commit thread's turn, if it has anything to do or to end."""
        committer = self._pipeline._committer
        if self._ledger.wait_ready(0.0) or committer.trouble:
            committer.commit()

    def stop(self) -> None:
        """Finish what is begun, commit it, and leave the group."""
        self._pipeline._poller.drain()
        while self._prepared:
            self.infer()
        self.commit()
        self._broker.close(0.0, leave=True)

    def _committed(self, partitions: Collection[Partition]) -> Mapping[Partition, Position]:
        """Ask as the poll thread does for the commit thread; here they are one."""
        return self._broker.committed(partitions, 0.0)
