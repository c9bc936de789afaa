"""A worker as the product starts it, with a broker that is watched and can be made to die.

    python -m tests.chaos.worker SLOT FOLDER < settings.json

`FOLDER/owned-SLOT-PID` gets a line for each change of ownership: when, and how many partitions.
Once `FOLDER/die-SLOT` exists, the process kills itself with everything written and nothing
committed. The product's own code knows nothing of either: it is given another `connect`.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, cast

from worker import process
from worker.kafka import kafka_python
from worker.kafka.broker import Broker, Polled, Transaction
from worker.kafka.client_settings import ClientSettings
from worker.messages import Partition
from worker.settings import WorkerSettings


class Watched:
    """A broker that notes what it owns, and whose transactions may be doomed."""

    def __init__(self, broker: Broker, folder: Path, slot: int) -> None:
        self._broker = broker
        self._doom = folder / f"die-{slot}"
        self._log = folder / f"owned-{slot}-{os.getpid()}"
        self._owned: set[Partition] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Poll, and note what changed; the first poll is noted in any case."""
        if not self._log.exists():
            self._note()
        polled = self._broker.poll(timeout_s, records_max)
        if polled.gained or polled.revoked or polled.lost:
            self._owned -= {*polled.revoked, *polled.lost}
            self._owned |= set(polled.gained)
            self._note()
        return polled

    def begin(self, timeout_s: float) -> Transaction:
        """Begin a transaction that dies before its commit, if it is told to."""
        return cast("Transaction", Doomed(self._broker.begin(timeout_s), self._doom))

    def _note(self) -> None:
        with self._log.open("a") as log:
            log.write(f"{time.time()} {len(self._owned)}\n")


class Doomed:
    """A transaction that kills its process between the flush and the commit, when told to."""

    def __init__(self, transaction: Transaction, doom: Path) -> None:
        self._transaction = transaction
        self._doom = doom

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transaction, name)

    def commit(self, timeout_s: float) -> None:
        """Commit, or die: all is flushed by now, offsets included."""
        if self._doom.exists():
            self._doom.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        self._transaction.commit(timeout_s)


def main(slot: str, folder: str) -> int:
    """Run the worker until it is told to stop."""
    settings = WorkerSettings.model_validate_json(sys.stdin.readline())

    def connect(client: ClientSettings) -> Broker:
        return cast("Broker", Watched(kafka_python.connect(client), Path(folder), int(slot)))

    return process.run(settings, int(slot), connect)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
