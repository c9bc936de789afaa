"""Posts that wait until their image is asked for again, and when one waits no longer.

What came of a fetch enters, what is settled leaves. A post that waits holds up the offset of its
own partition, and no batch. It waits in memory, and for who owns its partition: it is forgotten
with that, and the next owner begins anew. All of it belongs to the prepare thread.

A post is tried so often, and until so long after it was first tried here. Its timestamp does not
count: a backlog and a replayed dead letter are old when they come, and clocks differ.
"""

import heapq
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from worker.image_failures import IMAGE_REASONS
from worker.messages import Fetched, Later, Record, Reject
from worker.metrics import Metrics, Waited
from worker.offsets import Ledger
from worker.settings import WorkerSettings

PAUSE_FIRST_S: Final = 0.5
PAUSE_MAX_S: Final = 10.0
# How soon it is noticed that those who wait hold up too much.
LOOK_S: Final = 0.2
# Of what may be in flight, for posts that wait and what is done behind them. A worker that paused
# reads on at half: with more than that held up, other partitions would stand still as well.
ROOM: Final = 1 / 4


def pause_s(tries: int, chance: float) -> float:
    """How long to wait after so many tries; `chance`, 0 to 1, parts those that failed together."""
    return float(min(PAUSE_MAX_S, PAUSE_FIRST_S * 2 ** (tries - 1)) * (0.5 + chance))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A post that was tried `tries` times, and is tried until `until_s` of the clock at most."""

    later: Later
    tries: int
    until_s: float


@dataclass(frozen=True, slots=True)
class Due:
    """Posts whose image is asked for again now, and what those came to that wait no longer."""

    again: Sequence[Waiting] = ()
    over: Sequence[Fetched | Reject] = ()

    def __bool__(self) -> bool:
        return bool(self.again or self.over)


NONE_DUE: Final = Due()


class Retries:
    """The posts that wait in one worker. `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        ledger: Ledger,
        settings: WorkerSettings,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._clock = clock
        self._chance = chance
        self._tries_max = settings.image_tries_max
        self._age_s = settings.image_retry_age_s
        self._held_records_max = settings.in_flight_records_max * ROOM
        self._held_bytes_max = settings.in_flight_bytes_max * ROOM
        self._batch_max = settings.batch_records_max
        # By when each is due; the number parts those that are due at once.
        self._waiting: list[tuple[float, int, Waiting]] = []
        self._too_much = False
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._waiting)

    def wait_s(self) -> float | None:
        """How long there is nothing to do for those that wait; None where none does."""
        if not self._waiting:
            return None
        if self._too_much:
            return 0.0
        return min(LOOK_S, max(0.0, self._waiting[0][0] - self._clock()))

    def due(self) -> Due:
        """Take out a batch of those whose time has come; of all where they hold up too much."""
        if not self._waiting:
            return NONE_DUE
        self._too_much = self._hold_up_too_much()
        if self._too_much:
            return Due((), self._given_up(self._taken(math.inf), "out-of-room"))
        now_s = self._clock()
        taken = self._taken(now_s)
        late = [each for each in taken if now_s > each.until_s]
        again = tuple(each for each in taken if now_s <= each.until_s)
        return Due(again, self._given_up(late, "out-of-time"))

    def settled(
        self, answers: Sequence[Fetched | Later], due: Due, began_s: float
    ) -> list[Fetched | Reject]:
        """Give what is settled of what a fetch gave, and of `due`; the rest waits from now on.

        `began_s` is when the fetch did. Of `due`, what is not among the answers was rejected.
        """
        waited = {id(each.later.read.record): each for each in due.again}
        settled = list(due.over)
        ended: Counter[Waited] = Counter()
        for answer in answers:
            before = waited.pop(id(_record(answer)), None) if waited else None
            if isinstance(answer, Fetched):
                how: Waited = "lasting" if answer.missing in IMAGE_REASONS else "healed"
                settled.append(answer)
            else:
                how = self._kept(answer, before or Waiting(answer, 0, began_s + self._age_s))
                if how != "again":
                    settled.append(answer.otherwise)
            if before is not None:
                ended[how] += 1
        if waited:
            ended["lasting"] += len(waited)
        self._tell(ended)
        return settled

    def _kept(self, later: Later, before: Waiting) -> Waited:
        """Let a post wait once more, or say why it does not."""
        tries = before.tries + 1
        if tries >= self._tries_max:
            return "out-of-tries"
        due_s = self._clock() + later.again_s + pause_s(tries, self._chance())
        if due_s > before.until_s:
            return "out-of-time"
        waiting = Waiting(later, tries, before.until_s)
        heapq.heappush(self._waiting, (due_s, next(self._numbers), waiting))
        return "again"

    def _taken(self, now_s: float) -> list[Waiting]:
        """Take out a batch of what is due by then, less what is not this worker's any more."""
        taken: list[Waiting] = []
        while self._waiting and self._waiting[0][0] <= now_s and len(taken) < self._batch_max:
            taken.append(heapq.heappop(self._waiting)[2])
        owned = set(map(id, self._ledger.current([each.later.read.record for each in taken])))
        return [each for each in taken if id(each.later.read.record) in owned]

    def _hold_up_too_much(self) -> bool:
        records, size = self._ledger.held_up()
        waiting = [each.later.read.record for _, _, each in self._waiting]
        return (
            records + len(waiting) > self._held_records_max
            or size + sum(len(each.value or b"") for each in waiting) > self._held_bytes_max
        )

    def _given_up(self, over: Sequence[Waiting], why: Waited) -> tuple[Fetched | Reject, ...]:
        if over:
            self._tell(Counter({why: len(over)}))
        return tuple(each.later.otherwise for each in over)

    def _tell(self, ended: Counter[Waited]) -> None:
        self._metrics.waits_ended(ended)
        self._metrics.queue("retries", len(self._waiting))


def _record(answer: Fetched | Later) -> Record:
    return answer.record if isinstance(answer, Fetched) else answer.read.record
