"""A worker as the product starts it, with a broker that is watched and has failpoints.

    python -m tests.chaos.worker SLOT FOLDER < settings.json

    FOLDER/owned-SLOT-PID  a line for each change of ownership: when, and how many partitions
    FOLDER/raised-SLOT     a line for each error of a step: its name, and what was raised
    FOLDER/die-SLOT        the process kills itself before the step that is named in it
    FOLDER/hold-SLOT       before the first of these steps the process says so by FOLDER/held-SLOT,
                           and from then on waits before each of them, until hold-SLOT is gone

A step is a call of a transaction, or `poll`. `tests.chaos.failpoint` has finer places, which are
named from the very start on. The product's own code knows nothing of all this: it is given another
`connect`.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from tests.chaos.failpoint import armed
from worker import process
from worker.errors import BrokerError
from worker.kafka import kafka_python
from worker.kafka.broker import Broker, Polled, TooLarge, Transaction
from worker.kafka.client_settings import ClientSettings
from worker.messages import Outgoing, Partition, Receipt
from worker.settings import WorkerSettings

T = TypeVar("T")
LOOK_EVERY_S: Final = 0.02


class Failpoints:
    """Files by which the parent says where the process dies or waits."""

    def __init__(self, folder: Path, slot: int) -> None:
        self._die, self._hold, self._held, self._raised = (
            folder / f"{name}-{slot}" for name in ("die", "hold", "held", "raised")
        )

    def through(self, step: str, call: Callable[[], T]) -> T:
        """Come to a step, take it, and note what it raises."""
        self._wait(step)
        if step in _words(self._die):
            self._die.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return call()
        except BrokerError as error:
            with self._raised.open("a") as raised:
                raised.write(f"{step} {type(error).__name__}: {error}".replace("\n", " ") + "\n")
            raise

    def _wait(self, step: str) -> None:
        if [step] == _words(self._hold)[:1]:
            self._held.touch()
        while step in _words(self._hold) and self._held.exists():
            time.sleep(LOOK_EVERY_S)  # nothing to wait on: another process's file


class WithFailpoints:
    """A broker that notes what it owns, and comes to failpoints."""

    def __init__(self, broker: Broker, folder: Path, slot: int) -> None:
        self._broker = broker
        self._failpoints = Failpoints(folder, slot)
        self._log = folder / f"owned-{slot}-{os.getpid()}"
        self._owned: set[Partition] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Poll, and note what changed; the first poll is noted in any case."""
        if not self._log.exists():
            self._note()
        polled = self._failpoints.through("poll", lambda: self._broker.poll(timeout_s, records_max))
        if polled.gained or polled.revoked or polled.lost:
            self._owned -= {*polled.revoked, *polled.lost}
            self._owned |= set(polled.gained)
            self._note()
        return polled

    def begin(self, timeout_s: float) -> Transaction:
        """Begin a transaction whose steps are failpoints, as this one is."""
        begun = self._failpoints.through("begin", lambda: self._broker.begin(timeout_s))
        return cast("Transaction", Led(begun, self._failpoints))

    def _note(self) -> None:
        with self._log.open("a") as log:
            log.write(f"{time.time()} {len(self._owned)}\n")


class Led:
    """A transaction that comes to a failpoint before each of its steps but sending.

    One that sends nothing, as where partitions are marked alone, does not come to `settle`.
    """

    def __init__(self, transaction: Transaction, failpoints: Failpoints) -> None:
        self._transaction = transaction
        self._failpoints = failpoints
        self._sends = False

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        """Send, and note that there is something to settle."""
        self._sends = True
        return self._transaction.send(outgoing)

    def settle(self, timeout_s: float) -> Sequence[Receipt]:
        """Settle what was sent."""
        if not self._sends:
            return self._transaction.settle(timeout_s)
        return self._failpoints.through("settle", lambda: self._transaction.settle(timeout_s))

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._transaction, name)
        return lambda *given: self._failpoints.through(name, lambda: call(*given))


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except FileNotFoundError:
        return []


def _sleep(seconds: Any) -> None:
    """Sleep as `time.sleep` does, but not by clock_nanosleep.

    libfaketime 0.9.10 takes its deadline in monotonic time for one of the wall clock that it moves.
    """
    select.select([], [], [], seconds)


def main(slot: str, folder: str) -> int:
    """Run the worker until it is told to stop."""
    if "FAKETIME" in os.environ:
        time.sleep = _sleep
    settings = WorkerSettings.model_validate_json(sys.stdin.readline())

    def connect(client: ClientSettings) -> Broker:
        broker = armed(lambda: kafka_python.connect(client), os.environ)
        return cast("Broker", WithFailpoints(broker, Path(folder), int(slot)))

    return process.run(settings, int(slot), connect)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
