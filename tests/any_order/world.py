"""Workers on a cluster in memory, in one thread: whatever happens to them is a call, in any order.

The oracle shares no code with the worker: it looks at what a read_committed reader finds, and at
the offsets that the group has committed.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Final, Literal, TypeVar

from prometheus_client import CollectorRegistry

from tests.any_order.stepped_worker import SteppedWorker
from tests.intercepted_broker import InterceptedBroker
from worker.errors import BrokerError, InDoubt, TransactionAborted, Unavailable
from worker.kafka.broker import Transaction
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory import MemoryCluster, unwaiting
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Outgoing, Partition, Record
from worker.metrics import Metrics

Given = TypeVar("Given")
Source = tuple[int, int]

SLOTS: Final = 3
PARTITIONS: Final = 2
PROCESSES_MAX: Final = 4
# More turns than any backlog of an example needs, after rebalances and slots taken twice.
DRAIN_ROUNDS: Final = 60
POST: Final = json.dumps({"id": "1", "text": "好"}).encode()
OUTPUTS: Final = (Partition("verdicts", 0), Partition("verdicts", 1), Partition("letters", 0))

Call = Literal["poll", "begin", "send", "settle", "offsets", "commit", "committed", "abort"]
ERRORS: Final[dict[str, type[BrokerError]]] = {
    "poll": Unavailable,
    "begin": Unavailable,
    "send": TransactionAborted,
    "settle": TransactionAborted,
    "offsets": TransactionAborted,
    "commit": InDoubt,
    "committed": Unavailable,
    "abort": Unavailable,
}

Ending = Literal["goes on", "fails", "is not answered", "comes late", "dies", "dies after"]
"""What becomes of a call. One that comes late fails, and takes effect at some later time."""

Turn = Literal["poll", "prepare", "infer", "infer last", "commit", "stop"]
"""What one process does."""

Rounds = Literal["all poll", "all work", "all commit", "calm"]
"""What all processes do."""

Blow = Literal[
    "posts",
    "broken post",
    "hidden post",
    "hidden posts show",
    "start",
    "kill",
    "evict",
    "time out",
    "late calls come",
    "leader goes",
    "leader comes",
]
"""What befalls them."""

Kind = Literal[Turn, Rounds, Blow, "rebalance"]

ALL: Final[Mapping[str, tuple[Kind, ...]]] = {
    "all poll": ("poll",),
    "all work": ("poll", "poll", "prepare", "infer"),
    "all commit": ("commit",),
    # First partitions are marked as begun, then their records are worked on.
    "calm": ("poll", "commit", "poll", "prepare", "infer", "commit"),
}


@dataclass(frozen=True, slots=True)
class Twist:
    """At the next call of that name: what happens before it, and what becomes of it."""

    call: Call
    ending: Ending
    meanwhile: tuple["Happening", ...] = ()


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens; `who` is a process, a slot or a partition, by its number."""

    kind: Kind
    who: int = 0
    twists: tuple[Twist, ...] = ()


class Killed(BaseException):
    """The process is no more: nothing that it would do happens."""


class Process:
    """A worker's process; its calls of the broker pass it."""

    def __init__(self, world: "World", slot: int) -> None:
        client = ClientSettings("memory:0", "group", "posts", f"slot-{slot}")
        self._world = world
        self._twists: dict[str, Twist] = {}
        self.slot = slot
        self.alive = True
        self.committing = False
        self.broker: MemoryBroker = world.cluster.connect(client)
        self.worker = SteppedWorker(InterceptedBroker(self.broker, self), world.metrics)

    def around(self, call: str, work: Callable[[], Given]) -> Given:
        """Do a call of the broker, or whatever is to become of it."""
        twist = self._twist(call)
        if twist is None:
            return work()
        self._world.happen(*twist.meanwhile)
        return self._end(call, work, twist.ending)

    def take(self, turn: Callable[[], None], twists: Sequence[Twist] = ()) -> None:
        """Take a turn of one of its threads; what ends that ends the process."""
        if not self.alive:
            return
        self._twists = {twist.call: twist for twist in twists} or self._twists
        try:
            turn()
        except Killed:
            self.alive = False
        except BrokerError:
            self.alive = False
            with suppress(BrokerError):
                self.broker.close(0.0, leave=True)

    def commit(self, turn: Callable[[], None], twists: Sequence[Twist] = ()) -> None:
        """Take a turn of the commit thread, which does one thing at a time."""
        if not self.committing:
            self.committing = True
            self.take(turn, twists)
            self.committing, self._twists = False, {}

    def _twist(self, call: str) -> Twist | None:
        if not self.alive:
            raise Killed
        return self._twists.pop(call, None)

    def _end(self, call: str, work: Callable[[], Given], ending: Ending) -> Given:
        if not self.alive or ending == "dies":
            raise Killed
        if ending in ("fails", "comes late"):
            if ending == "comes late":
                self._world.late.append(work)
            raise ERRORS[call](f"{call} {ending}")
        given = work()
        if ending == "dies after":
            raise Killed
        if ending == "is not answered":
            raise ERRORS[call](f"{call} {ending}")
        return given


@cache
def metrics() -> Metrics:
    """Give metrics that nobody looks at; to declare them costs more than an example."""
    return Metrics(CollectorRegistry())


class World:
    """The cluster, the processes, and all that can happen to them."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster(
            {"posts": PARTITIONS, "verdicts": 2, "letters": 1}, wait=unwaiting
        )
        self.metrics = metrics()
        self.processes: list[Process] = []
        self.late: list[Callable[[], object]] = []
        self.steps = 0
        self._producer = self.cluster.connect(
            ClientSettings("memory:0", "producers", "posts", "producer")
        )
        self._hidden: Transaction | None = None

    def happen(self, *happenings: Happening) -> None:
        """Let all of this happen, one after the other."""
        for each in happenings:
            self.steps += 1
            living = self._living()
            match each.kind:
                case "poll" | "prepare" | "infer" | "infer last" | "commit" | "stop":
                    if living:
                        _take_turn(living[each.who % len(living)], each.kind, each.twists)
                case "all poll" | "all work" | "all commit" | "calm":
                    for process, kind in product(tuple(living), ALL[each.kind]):
                        _take_turn(process, kind)
                case "rebalance":
                    self._befall("evict", each.who)
                    self.happen(*[Happening("all poll")] * 3, Happening("all work"))
                case _:
                    self._befall(each.kind, each.who)

    def drain(self) -> None:
        """End all faults; whoever is dead is started again, and all work until nothing is left."""
        self._show()
        self._deliver()
        for partition in OUTPUTS:
            self.cluster.give_leader(partition)
        for _ in range(DRAIN_ROUNDS):
            self.check()
            if self.answered().keys() == self.sources():
                return
            for slot in range(SLOTS):
                if not any(each.slot == slot for each in self._living()):
                    self._start(slot)
            self.happen(Happening("calm"))
        lost = self.sources() - self.answered().keys()
        raise AssertionError(f"never answered: {sorted(lost)}")

    def check(self) -> None:
        """Each record that the group has passed has one outcome, and no other record has any."""
        answered = self.answered()
        twice = [source for source, count in answered.items() if count > 1]
        assert not twice, f"answered twice: {sorted(twice)}"
        committed = self.cluster.group("group", "posts").committed
        passed = {
            (number, offset)
            for number, offset in self.sources()
            if (position := committed.get(Partition("posts", number))) is not None
            and offset < position.offset
        }
        assert answered.keys() == passed, "outcomes and offsets were not committed together"

    def sources(self) -> set[Source]:
        """The records that need an outcome."""
        found = self.cluster.committed_records("posts")
        return {(record.partition.number, record.offset) for record in found}

    def answered(self) -> Counter[Source]:
        """The records that have an outcome for a read_committed reader, and how many."""
        verdicts = map(_of_verdict, self.cluster.committed_records("verdicts"))
        letters = map(_of_letter, self.cluster.committed_records("letters"))
        return Counter([*verdicts, *letters])

    def _befall(self, kind: Kind, who: int) -> None:
        partition = Partition("posts", who % PARTITIONS)
        match kind:
            case "posts":
                for number in range(1 + who):
                    self.cluster.produce(_post(Partition("posts", number % PARTITIONS)))
            case "broken post":
                self.cluster.produce(_post(partition, b"{broken"))
            case "hidden post":
                self._hide(partition)
            case "hidden posts show":
                self._show(abort=who % 2 == 0)
            case "start":
                self._start(who % SLOTS)
            case "kill" | "evict":
                self._end(kind, who)
            case "time out":
                self.cluster.time_out_transactions()
            case "late calls come":
                self._deliver()
            case "leader goes":
                self.cluster.take_leader(OUTPUTS[who % len(OUTPUTS)])
            case "leader comes":
                self.cluster.give_leader(OUTPUTS[who % len(OUTPUTS)])

    def _living(self) -> list[Process]:
        self.processes = [process for process in self.processes if process.alive]
        return self.processes

    def _start(self, slot: int) -> None:
        if len(self._living()) < PROCESSES_MAX:
            self.processes.append(Process(self, slot))

    def _end(self, kind: Kind, who: int) -> None:
        living = self._living()
        if not living:
            return
        process = living[who % len(living)]
        if kind == "kill":
            process.alive = False
        else:
            self.cluster.evict(process.broker)

    def _hide(self, partition: Partition) -> None:
        """Write a post in a transaction of a producer that stays open."""
        self._hidden = self._hidden or self._producer.begin(0.0)
        with suppress(BrokerError):
            self._hidden.send(_post(partition))
            self._hidden.settle(0.0)

    def _show(self, *, abort: bool = False) -> None:
        hidden, self._hidden = self._hidden, None
        if hidden is not None:
            with suppress(BrokerError):
                (hidden.abort if abort else hidden.commit)(0.0)

    def _deliver(self) -> None:
        late, self.late = self.late, []
        for call in late:
            with suppress(BrokerError):
                call()


def _take_turn(process: Process, kind: Kind, twists: Sequence[Twist] = ()) -> None:
    worker = process.worker
    match kind:
        case "poll":
            process.take(worker.poll, twists)
        case "prepare":
            process.take(worker.prepare)
        case "infer":
            process.take(worker.infer)
        case "infer last":
            process.take(worker.infer_last)
        case "commit":
            process.commit(worker.commit, twists)
        case "stop":
            if not process.committing:
                process.commit(worker.stop, twists)
                process.alive = False


def _post(partition: Partition, value: bytes = POST) -> Outgoing:
    return Outgoing(partition.topic, partition.number, b"key", value, (), 1_000)


def _of_verdict(record: Record) -> Source:
    source = json.loads(record.value or b"")["source"]
    return source["partition"], source["offset"]


def _of_letter(record: Record) -> Source:
    said = dict(record.headers)
    number, offset = (said[b"__connect.errors." + part] for part in (b"partition", b"offset"))
    return int(number or b""), int(offset or b"")
