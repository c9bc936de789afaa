"""The commit: whatever fails at whatever step, each outcome is committed once."""

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas.verdict import ModelName
from worker.commit import Committer
from worker.errors import BrokerError, InDoubt, MembershipLost, TransactionAborted, Unavailable
from worker.kafka.broker import Broker, Membership, Polled, Position, TooLarge
from worker.messages import Outcome, Outgoing, Partition, Receipt, Record
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.publish import Publisher
from worker.settings import WorkerSettings

POSTS = Partition("posts", 0)
MEMBER = Membership(object())

FAULTS: dict[str, list[BrokerError]] = {
    "begin": [Unavailable("no broker")],
    "settle": [TransactionAborted("delivery timed out"), Unavailable("no broker")],
    "offsets": [TransactionAborted("fenced"), MembershipLost("old generation")],
    "commit, and it happened": [InDoubt("no answer")],
    "commit, and it did not": [InDoubt("no answer")],
    "committed": [Unavailable("no broker")],
}
A_FAULT = st.sampled_from([(step, error) for step, errors in FAULTS.items() for error in errors])


@dataclass
class ScriptedBroker:
    """A broker of one partition whose transactions fail where the script says, and else work."""

    script: list[tuple[str, BrokerError]]
    size_max: int = 10**6
    log: list[Outgoing] = field(default_factory=list)
    position: int = 0
    aborted: int = 0
    receipts_withheld: int = 0
    steps: list[str] = field(default_factory=list)

    def meet(self, *steps: str) -> str | None:
        """Note the step, and raise when the script's next fault belongs to it."""
        self.steps.append(steps[0])
        if self.script and self.script[0][0] in steps:
            step, error = self.script.pop(0)
            if not step.startswith("commit,"):
                raise error
            return step
        return None

    def begin(self, timeout_s: float) -> "ScriptedTransaction":
        self.meet("begin")
        return ScriptedTransaction(self)

    def committed(self, partitions: Collection[Partition]) -> Mapping[Partition, Position]:
        self.meet("committed")
        return {POSTS: Position(self.position)}


class ScriptedTransaction:
    """Holds back what it is sent until it is committed."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.sent: list[Outgoing] = []
        self.position = 0

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        size = len(outgoing.value or b"") + sum(len(value or b"") for _, value in outgoing.headers)
        if size > self.broker.size_max:
            return TooLarge(self.broker.size_max)
        self.sent.append(outgoing)
        return None

    def settle(self, timeout_s: float) -> Sequence[Receipt]:
        self.broker.meet("settle")
        return [Receipt(POSTS, 0) for _ in self.sent[self.broker.receipts_withheld :]]

    def offsets(
        self, positions: Mapping[Partition, Position], membership: Membership, timeout_s: float
    ) -> None:
        assert membership is MEMBER
        self.broker.meet("offsets")
        self.position = positions[POSTS].offset

    def commit(self, timeout_s: float) -> None:
        doubt = self.broker.meet("commit, and it happened", "commit, and it did not")
        if doubt != "commit, and it did not":
            self.broker.log += self.sent
            self.broker.position = self.position
        if doubt is not None:
            raise InDoubt("no answer")

    def abort(self, timeout_s: float) -> None:
        self.broker.aborted += 1


def a_committer(
    broker: ScriptedBroker, ledger: Ledger, settings: WorkerSettings | None = None
) -> Committer:
    """A committer over the scripted broker."""
    model = ModelName("tiny", "1", "soft-voting")
    return Committer(
        cast("Broker", broker),
        ledger,
        Publisher("verdicts", 1, "letters", model, ["yes", "no"]),
        settings or WorkerSettings(),
        Metrics(CollectorRegistry()),
        broker.committed,
    )


def a_ledger(outcomes: Sequence[Outcome]) -> Ledger:
    """A ledger in which all outcomes are ready."""
    ledger = Ledger()
    records = [outcome.source for outcome in outcomes]
    ledger.polled(Polled(records, {POSTS: len(records)}, (POSTS,), (), (), MEMBER))
    ledger.settle(outcomes)
    return ledger


def outcomes(count: int, value: bytes = b"verdict") -> list[Outcome]:
    """Verdicts of `count` records, in order."""
    records = [Record(POSTS, offset, None, b"post", (), 0) for offset in range(count)]
    sent = [Outgoing("verdicts", 0, None, value + b"%d" % r.offset, (), 0) for r in records]
    return [Outcome(r, o, "yes", 0.9, None) for r, o in zip(records, sent, strict=True)]


@given(st.lists(A_FAULT, max_size=8), st.integers(1, 5))
def test_each_outcome_is_committed_once_whatever_fails(
    script: list[tuple[str, BrokerError]], count: int
) -> None:
    """Faults at any step, in any order: the log holds every outcome once, in order."""
    broker, wanted = ScriptedBroker(list(script)), outcomes(count)
    ledger = a_ledger(wanted)
    committer = a_committer(broker, ledger)
    for _ in range(len(script) + 2):
        committer.commit()
    assert broker.log == [outcome.outgoing for outcome in wanted]
    assert broker.position == count
    assert ledger.load == (0, 0)
    assert committer.trouble == ""


def test_the_steps_come_in_their_order() -> None:
    """Every record is written before the offsets that answer it are added."""
    broker = ScriptedBroker([])
    a_committer(broker, a_ledger(outcomes(3))).commit()
    assert broker.steps == ["begin", "settle", "offsets", "commit, and it happened"]


def test_a_commit_in_doubt_is_not_repeated_before_the_broker_was_asked() -> None:
    """The committed offsets decide, and they are read after the old producer was fenced."""
    broker = ScriptedBroker([("commit, and it happened", InDoubt("no answer"))])
    committer = a_committer(broker, a_ledger(outcomes(2)))
    assert committer.commit() is False
    assert committer.trouble == "no answer"
    assert committer.commit() is True
    assert broker.steps[-2:] == ["begin", "committed"]
    assert len(broker.log) == 2


def test_offsets_are_committed_only_against_receipts() -> None:
    """A record without a receipt aborts, and all are sent again."""
    wanted = outcomes(2)
    broker = ScriptedBroker([], receipts_withheld=1)
    committer = a_committer(broker, a_ledger(wanted))
    assert committer.commit() is False
    assert (broker.log, broker.aborted) == ([], 1)
    broker.receipts_withheld = 0
    assert committer.commit() is True
    assert broker.log == [outcome.outgoing for outcome in wanted]


def test_what_failed_is_ended_although_its_partition_was_taken_away() -> None:
    """Its open transaction would hold up who has the partition now, and all readers."""
    broker = ScriptedBroker([("commit, and it did not", InDoubt("no answer"))])
    ledger, stopped = a_ledger(outcomes(2)), threading.Event()
    committer = a_committer(broker, ledger)
    assert committer.commit() is False
    ledger.polled(Polled([], {}, (), (POSTS,), (), MEMBER))
    stopped.set()
    committer.run(stopped, threading.Event())
    assert (broker.steps.count("begin"), broker.aborted, committer.trouble) == (2, 1, "")


def test_a_revocation_between_flush_and_offsets_aborts() -> None:
    """What was revoked while its outcomes were written is not committed by this worker."""
    wanted = outcomes(2)
    ledger = a_ledger(wanted)
    broker = ScriptedBroker([])
    taken_away = Polled([], {}, (), (POSTS,), (), MEMBER)
    committer = a_committer(broker, ledger)

    def begin(timeout_s: float) -> ScriptedTransaction:
        transaction = ScriptedTransaction(broker)
        settle = transaction.settle

        def settled(timeout_s: float) -> Sequence[Receipt]:
            ledger.polled(taken_away)
            return settle(timeout_s)

        cast("Any", transaction).settle = settled
        return transaction

    cast("Any", broker).begin = begin
    assert committer.commit() is False
    assert (broker.log, broker.aborted) == ([], 1)


@pytest.mark.parametrize(
    ("size_max", "topic"), [(10**6, "verdicts"), (1_000, "letters"), (400, "letters")]
)
def test_what_does_not_fit_is_sent_as_less(size_max: int, topic: str) -> None:
    """A verdict too large is a dead letter; one whose record does not fit either names it."""
    broker = ScriptedBroker([], size_max)
    record = Record(POSTS, 0, b"key", b"p" * 500, ((b"own", b"h" * 100),), 7)
    large = Outcome(record, Outgoing("verdicts", 0, b"key", b"v" * 2_000, (), 7), "yes", 0.9, None)
    assert a_committer(broker, a_ledger([large])).commit()
    (sent,) = broker.log
    assert sent.topic == topic
    assert (sent.value is None) == (size_max == 400)


class Patience(threading.Event):
    """Notes how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waits_s: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        """Note it."""
        self.waits_s.append(timeout or 0.0)
        return False


def test_a_lone_post_commits_at_once_and_a_flood_pays_for_few() -> None:
    """The first commit waits for nothing, the next until the interval has passed."""
    first, second = outcomes(2)
    ledger = a_ledger([first])
    committer = a_committer(ScriptedBroker([]), ledger)
    patience, abandon = Patience(), threading.Event()
    commit = committer.commit

    def commit_and_bring_more() -> bool:
        done = commit()
        if len(patience.waits_s) == 1:
            ledger.polled(Polled([second.source], {POSTS: 2}, (), (), (), MEMBER))
            ledger.settle([second])
        else:
            abandon.set()
        return done

    cast("Any", committer).commit = commit_and_bring_more
    committer.run(patience, abandon)
    assert patience.waits_s[0] == 0.0
    assert 0.0 < patience.waits_s[1] <= WorkerSettings().commit_interval_ms / 1000


def test_a_backlog_pays_for_fewer_transactions_than_a_flood() -> None:
    """With a quarter of the bound in flight, a commit waits for as much, four intervals at most."""
    settings = WorkerSettings(
        in_flight_records_max=8, poll_records_max=8, batch_records_max=8, commit_interval_ms=1_000
    )
    wanted = outcomes(3)
    ledger, broker = a_ledger(wanted[:1]), ScriptedBroker([])
    committer = a_committer(broker, ledger, settings)
    waits: list[tuple[int, float]] = []
    abandon = threading.Event()

    def more(outcomes: int, timeout_s: float) -> None:
        waits.append((outcomes, timeout_s))
        ledger.settle(wanted[2:])

    commit = committer.commit

    def commit_and_bring_more() -> bool:
        done = commit()
        if len(broker.log) == 1:
            records = [outcome.source for outcome in wanted[1:]]
            ledger.polled(Polled(records, {POSTS: 3}, (), (), (), MEMBER))
            ledger.settle(wanted[1:2])
        else:
            abandon.set()
        return done

    cast("Any", ledger).wait_for_more = more
    cast("Any", committer).commit = commit_and_bring_more
    committer.run(Patience(), abandon)
    ((count, timeout_s),) = waits
    assert count == 2
    assert 3.0 < timeout_s <= 4.0
    assert broker.log == [outcome.outgoing for outcome in wanted]
