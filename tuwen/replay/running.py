"""Run a replay: dead letters in, records back on their topics, exactly once.

    what a death after the step leaves behind
    1  fence     nothing; what a dead or slower replay left open is aborted, and it writes no more
    2  look      nothing; the journal now says all that was ever put back
    3  begin     the replay's id and its ends, by which it is resumed
    and then for each few letters, in one transaction:
    4  records   records that no read_committed reader ever sees
    5  journal   the same
    6  offsets   the same
    7  commit    records, journal and offsets, or none of them

All replays of one topic of dead letters share a transactional id. So there is one at a time, and
what the journal says at step 2 is true until somebody else fences this one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from schemas.replay import Begun, Replayed
from tuwen.dead_letters import DeadLetter, is_chosen, of
from tuwen.replay.journal import Journal, written
from tuwen.replay.sorting import Kept, Sorter
from worker.errors import BrokerError, MembershipLost, TransactionAborted
from worker.kafka.broker import Broker, Membership, Polled, Position, Transaction
from worker.messages import Outgoing, Partition

# A poll's letters go in one transaction: enough to make it cheap, few enough to do again.
LETTERS_MAX = 200
POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a step may take, in seconds."""

    transaction_s: float = 10.0
    delivery_s: float = 6.0


@dataclass(slots=True)
class Tally:
    """What became of the letters that were chosen, by their reasons."""

    replayed: Counter[str] = field(default_factory=Counter)
    kept: Counter[tuple[Kept, str]] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Start:
    """What a replay begins with, or goes on with: a broker, its letters, and their journal."""

    broker: Broker
    patience: Patience
    letters_topic: str
    look: Callable[[], Journal]
    now_ms: Callable[[], int]

    def begin(self, begun: Callable[[Mapping[int, int]], Begun]) -> tuple[Begun, Journal]:
        """Begin a replay of all that is committed now; give what it is, and what was before it."""
        with self._fenced() as transaction:  # 1
            journal = self.look()  # 2
            replay = begun(self._ends())
            self._write_down(transaction, replay)  # 3
        return replay, journal

    def resume(self, replay: str) -> tuple[Begun, Journal]:
        """Take a replay over from whoever began it.

        It is written down again, for its transaction must commit: after an abort the broker makes
        a new producer, which nobody could have fenced since the look at the journal.
        """
        with self._fenced() as transaction:  # 1
            journal = self.look()  # 2
            begun = journal.known(replay, self.letters_topic)
            self._write_down(transaction, begun)  # 3
        return begun, journal

    @contextmanager
    def _fenced(self) -> Iterator[Transaction]:
        """Give a transaction, begun when no other replay can write any more; abort it in case."""
        transaction = self.broker.begin(self.patience.transaction_s)
        try:
            yield transaction
        except BaseException:
            with suppress(BrokerError):
                transaction.abort(self.patience.transaction_s)
            raise

    def _ends(self) -> Mapping[int, int]:
        count = self.broker.partitions(self.letters_topic, self.patience.delivery_s)
        partitions = [Partition(self.letters_topic, number) for number in range(count)]
        ends = self.broker.ends(partitions, self.patience.delivery_s)
        return {partition.number: ends[partition].stable for partition in partitions}

    def _write_down(self, transaction: Transaction, begun: Begun) -> None:
        transaction.send(written(begun, self.letters_topic, self.now_ms()))
        transaction.settle(self.patience.delivery_s)
        transaction.commit(self.patience.transaction_s)


class Replay:
    """One run of a replay: from where its group stands to its ends."""

    def __init__(self, start: Start, sorter: Sorter, tell: Callable[[int, int], None]) -> None:
        self._broker = start.broker
        self._patience = start.patience
        self._letters_topic = start.letters_topic
        self._begun = sorter.begun
        self._sorter = sorter
        self._tell = tell
        self._left = self._left_of_limit(sorter.journal)
        self._first: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._committed: dict[int, int] = {}
        self._waiting: list[tuple[DeadLetter, Outgoing | Kept]] = []
        self.tally = Tally()

    def run(self) -> None:
        """Put back what was chosen, until the ends or the limit.

        Raises:
            BrokerError: it cannot go on; what was committed stays so, and `resume` goes on.
        """
        while self._waiting or (self._left and not self._is_at_its_ends()):
            polled = self._broker.poll(POLL_S, LETTERS_MAX)
            if polled.lost or polled.revoked:
                raise MembershipLost(
                    "its partitions went: another process goes on with this replay, "
                    "or the dead letters got more of them"
                )
            self._take(polled)
            if polled.membership is not None and (self._waiting or self._is_read()):
                self._put_back(polled.membership)
            if self._first.keys() >= self._begun.ends.keys():
                self._tell(*self._progress())

    def _left_of_limit(self, journal: Journal) -> float:
        if self._begun.limit is None:
            return float("inf")
        return max(0, self._begun.limit - journal.count(self._begun.replay))

    def _take(self, polled: Polled) -> None:
        """Sort what came, up to the limit; what came after it is left unread."""
        for record in polled.records:
            number = record.partition.number
            if record.offset >= self._begun.ends.get(number, 0):
                continue
            if not self._left:
                return
            letter = of(record)
            if is_chosen(letter, self._begun.choice):
                fate = self._sorter.sort(letter)
                self._left -= isinstance(fate, Outgoing)
                self._waiting.append((letter, fate))
            self._first.setdefault(number, record.offset)
            self._read[number] = record.offset + 1
        for partition, offset in polled.next_offsets.items():
            number = partition.number
            if number in self._begun.ends:
                self._first.setdefault(number, min(offset, self._begun.ends[number]))
                self._read[number] = min(offset, self._begun.ends[number])

    def _put_back(self, membership: Membership) -> None:
        transaction = self._broker.begin(self._patience.transaction_s)
        try:
            fates = list(self._sent(transaction))  # 4
            self._journalise(transaction, fates)  # 5
            positions = {
                Partition(self._letters_topic, number): Position(offset)
                for number, offset in self._read.items()
            }
            transaction.offsets(positions, membership, self._patience.transaction_s)  # 6
        except BaseException:
            # When this fails too, whoever resumes fences it.
            with suppress(BrokerError):
                transaction.abort(self._patience.transaction_s)
            raise
        transaction.commit(self._patience.transaction_s)  # 7
        self._committed = dict(self._read)
        self._waiting.clear()
        self._count(fates)

    def _sent(self, transaction: Transaction) -> Iterator[tuple[DeadLetter, Kept | None]]:
        """Send each record that goes back; give each letter, and why it stays, if it does."""
        for letter, fate in self._waiting:
            if isinstance(fate, Kept):
                yield letter, fate
            elif transaction.send(fate) is not None:
                yield letter, Kept.TOO_LARGE
            else:
                yield letter, None

    def _journalise(
        self, transaction: Transaction, fates: Iterable[tuple[DeadLetter, Kept | None]]
    ) -> None:
        """Write down which letters go back, and have all of it written: a receipt for each."""
        offsets: dict[int, list[int]] = {}
        for letter, kept in fates:
            if kept is None:
                record = letter.record
                offsets.setdefault(record.partition.number, []).append(record.offset)
        entry = Replayed(
            self._begun.replay,
            self._begun.letters_id,
            {number: tuple(found) for number, found in offsets.items()},
        )
        count = sum(map(len, offsets.values()))
        if count:
            transaction.send(written(entry, self._letters_topic, self._sorter.now_ms()))
            receipts = transaction.settle(self._patience.delivery_s)
            if len(receipts) != count + 1:
                raise TransactionAborted(f"{len(receipts)} receipts for {count + 1} records")

    def _count(self, fates: Iterable[tuple[DeadLetter, Kept | None]]) -> None:
        for letter, kept in fates:
            if kept is None:
                self.tally.replayed[letter.reason] += 1
            else:
                self.tally.kept[kept, letter.reason] += 1

    def _is_read(self) -> bool:
        """Whether every letter up to the ends has been read."""
        ends = self._begun.ends
        return all(self._read.get(number, -1) >= end for number, end in ends.items())

    def _is_at_its_ends(self) -> bool:
        """Whether all of it is read, and committed, so that a resumed one ends at once."""
        return self._is_read() and self._committed == self._read

    def _progress(self) -> tuple[int, int]:
        """How many offsets are done, and of how many."""
        first = self._first
        done = sum(self._committed.get(number, first[number]) - first[number] for number in first)
        return done, sum(self._begun.ends[number] - first[number] for number in first)
