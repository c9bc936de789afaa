"""Commit outcomes together with the offsets they answer: one transaction, its steps numbered.

    what a crash after the step leaves behind
    1  begin         nothing; the dead self's open transaction was fenced and aborted
    2  send          records that no read_committed reader ever sees
    3  settle        the same, all of them written
    4  vouch         the same; whoever lost a partition meanwhile aborts here
    5  offsets       the same, with offsets pending: the next owner waits for their end
    6  commit        everything, or nothing: the broker knows, and the next owner asks it
    7  acknowledge   everything, and this process knows it

A partition that was gained is marked as begun in the same way (`worker.attempts`): its old offset
with a note, in step 5; only from 7 on are its records worked on. A commit of its own would not do:
one that timed out could arrive late, and put the offset back behind what was committed since.

Until 7 every outcome stays in the ledger. A transaction that failed is sent again by the next
one; after a commit that may have happened (`InDoubt`) the broker's own offsets decide which.
What was left open is aborted by the next `begin` of the slot, in this process or in the one that
takes its place; if none does, by the broker, after the transaction's timeout and some 10 s.

Each step has a bound; a call that does not keep to it ends the process (`worker.watchdog`), which
is then a crash like any other. At least once there is no transaction: a crash after 2 leaves
outcomes that are written again.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from math import ceil
from typing import Literal

import structlog

from worker.errors import BrokerError, InDoubt, MembershipLost, TransactionAborted, Unavailable
from worker.kafka.broker import Broker, Position, Transaction
from worker.messages import Outcome, Partition
from worker.metrics import Metrics
from worker.offsets import Ledger, Ready
from worker.publish import Publisher
from worker.settings import WorkerSettings

Committed = Callable[[Collection[Partition]], Mapping[Partition, Position]]
"""Asks the poll thread, which owns the consumer, for the group's stable positions."""

# The pause after a failed transaction: short enough to recover soon, long enough not to hammer.
RETRY_PAUSE_S = 0.2
# Of what may be in flight: with more of it, posts wait for their turn longer than for a commit.
BACKLOG = 1 / 4
# So a commit then waits until that much is ready, this many intervals in all.
BACKLOG_INTERVALS = 4
# How long a stop may be noticed late by a thread that waits for work.
WAIT_S = 0.1


class Committer:
    """Owns every transaction; `run` is the commit thread."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        publisher: Publisher,
        settings: WorkerSettings,
        metrics: Metrics,
        committed: Committed,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._publisher = publisher
        self._metrics = metrics
        self._committed = committed
        self._interval_s = settings.commit_interval_ms / 1000
        self._backlog = ceil(settings.in_flight_records_max * BACKLOG)
        self._timeout_s = settings.transaction_timeout_ms / 1000
        self._settle_s = settings.delivery_timeout_ms / 1000
        self._doubt: Ready | None = None
        self._log = structlog.get_logger()
        self.trouble = ""

    def run(self, finished: threading.Event, abandon: threading.Event) -> None:
        """Commit what becomes ready until `finished` and nothing is left, or until `abandon`."""
        last_s = -self._interval_s
        while not abandon.is_set():
            if not self._ledger.wait_ready(WAIT_S):
                # What failed was taken away, and is somebody else's now: a transaction that was
                # left open holds that one up, and all readers, until a begin has aborted it.
                ended = not self.trouble or self.commit()
                if finished.is_set():
                    return
                if not ended:
                    abandon.wait(RETRY_PAUSE_S)
                continue
            # Records wait for a mark, and no interval begins with it.
            if not self._ledger.marking:
                self._wait_for_more(finished, last_s)
                last_s = time.monotonic()
            if not self.commit():
                abandon.wait(RETRY_PAUSE_S)

    def _wait_for_more(self, finished: threading.Event, last_s: float) -> None:
        """Let a flood pay for few transactions, a backlog for fewer; a lone post does not wait."""
        finished.wait(max(0.0, last_s + self._interval_s - time.monotonic()))
        if self._ledger.load[0] >= self._backlog:
            longest_s = last_s + BACKLOG_INTERVALS * self._interval_s - time.monotonic()
            self._ledger.wait_for_more(self._backlog, max(0.0, longest_s))

    def commit(self) -> bool:
        """Commit all that is ready, and say whether it went well; if not, it is ready still."""
        started_s = time.monotonic()
        try:
            count = self._transact()
        except (TransactionAborted, MembershipLost, Unavailable) as error:
            return self._failed("aborted", error, started_s)
        except InDoubt as error:
            return self._failed("in-doubt", error, started_s)
        self.trouble = ""
        if count:
            self._metrics.transaction("committed", time.monotonic() - started_s)
        return True

    def _failed(
        self, outcome: Literal["aborted", "in-doubt"], error: Exception, started_s: float
    ) -> bool:
        self.trouble = str(error)
        self._metrics.transaction(outcome, time.monotonic() - started_s)
        self._log.warning("transaction failed, sent again", outcome=outcome, why=str(error))
        return False

    def _transact(self) -> int:
        transaction = self._broker.begin(self._timeout_s)  # 1
        try:
            self._resolve_doubt()
            ready = self._ledger.ready()
            if not ready:  # the transaction in doubt did commit all of it
                transaction.abort(self._timeout_s)
                return 0
            published = [self._send(transaction, outcome) for outcome in ready.outcomes]  # 2
            self._settle(transaction, len(published))  # 3
            membership = self._ledger.vouch(ready, self._settle_s)  # 4
            offsets = {**ready.positions, **ready.marks}
            transaction.offsets(offsets, membership, self._timeout_s)  # 5
        except BaseException:
            # When this fails too, the next begin aborts it: it fences this producer.
            with suppress(BrokerError):
                transaction.abort(self._timeout_s)
            raise
        self._doubt = ready
        transaction.commit(self._timeout_s)  # 6
        self._doubt = None
        self._acknowledge(ready, published)  # 7
        return len(published)

    def _acknowledge(self, ready: Ready, published: list[Outcome]) -> None:
        self._ledger.committed(ready)
        self._metrics.outcomes(published, time.time_ns() // 1_000_000)

    def _send(self, transaction: Transaction, outcome: Outcome) -> Outcome:
        """Send an outcome; what does not fit into a record is sent as less than it was."""
        for smaller in self._publisher.shrinking(outcome):
            refused = transaction.send(smaller.outgoing)
            if refused is None:
                return smaller
        raise AssertionError(f"a dead letter of headers alone was refused: {refused}")

    def _settle(self, transaction: Transaction, count: int) -> None:
        """Have everything written: offsets are committed only against receipts, one for each."""
        receipts = transaction.settle(self._settle_s)
        if len(receipts) != count:
            raise TransactionAborted(f"{len(receipts)} receipts for {count} records")

    def _resolve_doubt(self) -> None:
        """Forget what a commit in doubt did commit. The transaction before is fenced by now."""
        if self._doubt is None:
            return
        doubt, wanted = self._doubt, self._doubt.positions
        found = self._committed(wanted) if wanted else {}
        if all(found.get(p, Position(-1)).offset >= wanted[p].offset for p in wanted):
            # Marks are written once more: that does no harm, and asks for no proof.
            self._acknowledge(replace(doubt, marks={}), list(doubt.outcomes))
        self._doubt = None
