"""Posts that wait for their image: how often, how long, and what they may hold up meanwhile."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from schemas.post import Post
from schemas.reasons import Reason
from worker.kafka.broker import Polled
from worker.messages import Fetched, Later, Outcome, Outgoing, Partition, Read, Record, Reject
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.retries import LOOK_S, NONE_DUE, PAUSE_MAX_S, Due, Retries, pause_s
from worker.settings import WorkerSettings

HERE, THERE = Partition("posts", 0), Partition("posts", 1)
TIMEOUT_S = 5.0


class Room:
    """Posts that wait, a ledger that owns their partitions, and a clock that is set by hand."""

    def __init__(self, chance: Callable[[], float] = lambda: 0.5, **settings: float) -> None:
        self.now_s = 100.0
        self.ledger = Ledger()
        self.registry = CollectorRegistry()
        self.retries = Retries(
            self.ledger,
            WorkerSettings(**settings),  # type: ignore[arg-type]
            Metrics(self.registry),
            clock=lambda: self.now_s,
            chance=chance,
        )
        self._offsets = {HERE: 0, THERE: 0}
        self.ledger.polled(Polled([], {}, [HERE, THERE], [], [], None))

    def later(self, partition: Partition = HERE, value: bytes = b"", again_s: float = 0.0) -> Later:
        """A post just polled whose image cannot be had now."""
        record = Record(partition, self._offsets[partition], None, value, (), 0)
        self._offsets[partition] += 1
        self.ledger.polled(Polled([record], {partition: record.offset + 1}, [], [], [], None))
        read = Read(record, Post("1", "好", "https://a/1.jpg"))
        return failed(read, again_s)

    def done(self, partition: Partition, value: bytes = b"") -> None:
        """Another post of the partition comes, and to its outcome."""
        record = self.later(partition, value).read.record
        outgoing = Outgoing("verdicts", 0, None, None, (), 0)
        self.ledger.settle([Outcome(record, outgoing, "a", 1.0, None)])

    def told(self, outcome: str) -> float | None:
        """How many waits came to that."""
        return self.registry.get_sample_value("tuwen_image_retries_total", {"outcome": outcome})


def failed(read: Read, again_s: float = 0.0) -> Later:
    """What a fetch gives of a post whose host does not answer."""
    otherwise = Fetched(read.record, read.post, None, Reason.IMAGE_HOST_UNAVAILABLE)
    return Later(read, otherwise, again_s)


def test_a_post_waits_is_asked_for_again_and_healed() -> None:
    """It is not due before its pause is over, and the batch that it was in has gone on."""
    room = Room()
    later = room.later()
    assert room.retries.settled([later], NONE_DUE, room.now_s) == []
    assert room.retries.due() == NONE_DUE
    room.now_s += pause_s(1, 0.5)
    due = room.retries.due()
    assert [each.later for each in due.again] == [later]
    assert len(room.retries) == 0
    healed = Fetched(later.read.record, later.read.post, None, None)
    assert room.retries.settled([healed], due, room.now_s) == [healed]
    assert room.told("healed") == 1


def test_a_post_is_tried_no_more_than_it_may_be() -> None:
    """Then it is labelled on its text, as if nothing were tried again."""
    room = Room(image_tries_max=3, image_retry_age_s=100)
    later = room.later()
    settled, tries = room.retries.settled([later], NONE_DUE, room.now_s), 1
    while not settled:
        room.now_s += PAUSE_MAX_S
        due = room.retries.due()
        settled = room.retries.settled([failed(w.later.read) for w in due.again], due, room.now_s)
        tries += 1
    assert (settled, tries) == ([later.otherwise], 3)
    assert (room.told("again"), room.told("out-of-tries")) == (1, 1)


def test_a_post_that_waited_for_too_long_is_not_asked_for() -> None:
    """Its turn came late: the batch before it took its time."""
    room = Room(image_retry_age_s=10)
    later = room.later()
    assert room.retries.settled([later], NONE_DUE, room.now_s) == []
    room.now_s += 10.1
    assert room.retries.due() == Due((), (later.otherwise,))
    assert room.told("out-of-time") == 1


def test_no_post_waits_for_a_turn_that_would_come_too_late() -> None:
    """A host that wants to be asked in a minute is not waited for; it costs its post no time."""
    room = Room(image_retry_age_s=10)
    later = room.later(again_s=60)
    assert room.retries.settled([later], NONE_DUE, room.now_s) == [later.otherwise]


def test_a_host_is_not_asked_before_it_wants_to_be() -> None:
    """`Retry-After` is obeyed, with the pause on top."""
    room = Room(image_retry_age_s=10)
    room.retries.settled([room.later(again_s=3)], NONE_DUE, room.now_s)
    room.now_s += 3
    assert room.retries.due() == NONE_DUE
    room.now_s += pause_s(1, 0.5)
    assert len(room.retries.due().again) == 1


def test_posts_that_failed_together_are_parted() -> None:
    """Their host is not asked for all of them at once again."""
    chances = iter([0.0, 1.0])
    room = Room(lambda: next(chances))
    room.retries.settled([room.later(), room.later()], NONE_DUE, room.now_s)
    room.now_s += pause_s(1, 0.0)
    assert len(room.retries.due().again) == 1


def test_a_post_that_fails_for_good_when_asked_again_is_settled() -> None:
    """Degraded or rejected, it is counted as what no try will heal."""
    room = Room()
    laters = [room.later(), room.later()]
    room.retries.settled(laters, NONE_DUE, room.now_s)
    room.now_s += PAUSE_MAX_S
    due = room.retries.due()
    gone = Fetched(laters[0].read.record, laters[0].read.post, None, Reason.IMAGE_NOT_FOUND)
    assert room.retries.settled([gone], due, room.now_s) == [gone]
    assert room.told("lasting") == 2


def test_a_post_of_a_partition_that_was_taken_away_is_forgotten() -> None:
    """Its next owner reads it again; work on it here would be in vain."""
    room = Room()
    room.retries.settled([room.later(HERE), room.later(THERE)], NONE_DUE, room.now_s)
    room.ledger.polled(Polled([], {}, [], [HERE], [], None))
    room.now_s += PAUSE_MAX_S
    assert [w.later.read.record.partition for w in room.retries.due().again] == [THERE]
    assert len(room.retries) == 0


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"in_flight_records_max": 500}, b""),
        ({"in_flight_bytes_max": 12_500_000, "image_bytes_max": 1}, b"1" * 25_000),
    ],
)
def test_what_holds_up_too_much_waits_no_longer(settings: dict[str, float], value: bytes) -> None:
    """Else the worker would pause all its partitions for the posts of one."""
    room = Room(lambda: 0.5, **settings)
    later = room.later(value=value)
    room.retries.settled([later], NONE_DUE, room.now_s)
    for _ in range(124):
        room.done(HERE, value)
        room.done(THERE, value)
    assert room.retries.due() == NONE_DUE
    room.done(HERE, value)
    assert room.retries.due() == Due((), (later.otherwise,))
    assert room.told("out-of-room") == 1


def test_posts_that_wait_take_room_themselves() -> None:
    """A host that fails for every post does not stop the reading."""
    room = Room(batch_records_max=64, in_flight_records_max=500)
    laters = [room.later() for _ in range(126)]
    room.retries.settled(laters, NONE_DUE, room.now_s)
    assert room.retries.due() == Due((), tuple(each.otherwise for each in laters[:64]))


def test_no_more_posts_are_due_at_once_than_a_batch_has() -> None:
    """Those left are due at once, whether their time has come or they hold up too much."""
    room = Room(batch_records_max=4, in_flight_records_max=500)
    laters = [room.later() for _ in range(6)]
    room.retries.settled(laters, NONE_DUE, room.now_s)
    room.now_s += PAUSE_MAX_S / 2
    assert [len(room.retries.due().again), room.retries.wait_s()] == [4, 0]
    assert [len(room.retries.due().again), room.retries.wait_s()] == [2, None]
    room.retries.settled([room.later() for _ in range(130)], NONE_DUE, room.now_s)
    assert [len(room.retries.due().over), room.retries.wait_s()] == [4, 0]


def test_nobody_is_woken_for_posts_that_do_not_wait() -> None:
    """While some do, it is looked often enough to see that they hold up too much."""
    room = Room()
    assert room.retries.wait_s() is None
    room.retries.settled([room.later(again_s=5)], NONE_DUE, room.now_s)
    assert room.retries.wait_s() == LOOK_S
    room.now_s += 60
    assert room.retries.wait_s() == 0


@given(st.integers(1, 200), st.floats(0, 1))
def test_pauses_are_bounded(tries: int, chance: float) -> None:
    """They grow, up to a bound, and half of each is left to chance."""
    assert 0 < pause_s(tries, chance) <= 1.5 * PAUSE_MAX_S
    assert pause_s(tries, chance) <= pause_s(tries + 1, chance)


@given(
    st.integers(1, 5),
    st.floats(0.1, 30),
    st.lists(
        st.tuples(
            st.sampled_from([HERE, THERE]),
            st.floats(0, TIMEOUT_S),  # how long the batch's fetch takes
            st.floats(0, 20),  # what the host says
            st.floats(0, 1),
            st.booleans(),  # whether those that are tried again are healed
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_each_post_is_settled_once_within_its_tries_and_its_time(
    tries_max: int,
    age_s: float,
    batches: list[tuple[Partition, float, float, float, bool]],
) -> None:
    """Whatever hosts do: none is lost or doubled, and a batch waits for nothing but its fetch."""
    chances = [chance for _, _, _, chance, _ in batches]
    room = Room(lambda: chances[-1], image_tries_max=tries_max, image_retry_age_s=age_s)
    first_s: dict[int, float] = {}
    tries: dict[int, int] = {}
    settled: list[int] = []
    born: list[Read] = []

    def batch(later: Later | None, fetch_s: float, again_s: float, heals: bool) -> None:
        due = room.retries.due()
        began_s = room.now_s
        answers: list[Fetched | Later] = [later] if later else []
        for each in due.again:
            record, post = each.later.read.record, each.later.read.post
            number = id(record)
            assert began_s <= first_s[number] + age_s
            tries[number] += 1
            healed = Fetched(record, post, None, None)
            answers.append(healed if heals else failed(each.later.read, again_s))
        if later:
            first_s[id(later.read.record)], tries[id(later.read.record)] = began_s, 1
            born.append(later.read)
        room.now_s += fetch_s
        settled.extend(id(_of(each)) for each in room.retries.settled(answers, due, began_s))

    for partition, fetch_s, again_s, _, heals in batches:
        batch(room.later(partition, again_s=again_s), fetch_s, again_s, heals)
    while len(room.retries):
        wait_s = room.retries.wait_s()
        assert wait_s is not None
        room.now_s += max(wait_s, 0.01)
        batch(None, TIMEOUT_S, 0.0, heals=False)
        assert all(
            room.now_s - first_s[number] <= age_s + 3 * TIMEOUT_S + LOOK_S
            for number in first_s.keys() - set(settled)
        )
    assert sorted(settled) == sorted(id(read.record) for read in born)
    assert max(tries.values()) <= tries_max


def _of(answer: Fetched | Reject) -> Record:
    return answer.record
