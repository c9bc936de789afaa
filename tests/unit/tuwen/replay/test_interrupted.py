from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.mortal_broker import STEPS, Life, mortal
from tests.unit.tuwen.replay.letters import POSTS, Place, a_replay, filled, numbers
from tuwen.replay.journal import Journal
from tuwen.replay.running import LETTERS_MAX
from worker.errors import BrokerError, MembershipLost, TransactionAborted
from worker.kafka.memory_broker import MemoryBroker


class Killed(BaseException):
    """The process has died: it does nothing more, and closes nothing."""


def connect_to_die(place: Place, step: str, time: int) -> MemoryBroker:
    """Connect a process that dies the so many-th time that it comes to a step."""

    def end() -> None:
        raise Killed

    life = Life({step: time}, end)
    return cast("MemoryBroker", mortal(place.connect("r"), life.meet))


def killed(place: Place, step: str, time: int) -> None:
    """Begin a replay and have its process die."""
    broker = connect_to_die(place, step, time)
    with pytest.raises(Killed):
        place.begin(broker, "r").run()


@pytest.mark.parametrize("step", STEPS)
def test_a_replay_that_was_killed_at_any_step_goes_on_and_brings_each_once(step: str) -> None:
    """In its second transaction with letters: the first was for its id."""
    count = 3 * LETTERS_MAX
    place = filled(count)
    # Of `send`s the first transaction has one, each with letters one more than letters.
    killed(place, step, time=LETTERS_MAX + 9 if step == "send" else 3)
    assert 0 < len(place.values()) < count

    broker = place.connect("r")
    place.resume(broker, "r").run()

    assert numbers(place) == list(range(count))
    assert place.look().count("r") == count


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 3)), max_size=6))
def test_however_often_it_is_killed_each_letter_comes_once(deaths: list[tuple[str, int]]) -> None:
    """At whatever steps; the last process ends it."""
    place = filled(2 * LETTERS_MAX + 5)
    begin = place.connect("r")
    place.begin(begin, "r")
    for step, time in deaths:
        try:
            place.resume(connect_to_die(place, step, time), "r").run()
        except Killed:
            continue
    place.resume(place.connect("r"), "r").run()

    assert numbers(place) == list(range(2 * LETTERS_MAX + 5))


def test_what_a_dead_replay_wrote_and_did_not_commit_is_never_read() -> None:
    """It is on the topic, and its transaction was aborted."""
    place = filled(3)
    killed(place, "commit", time=2)
    place.resume(place.connect("r"), "r").run()

    assert len(place.cluster.all_records(POSTS)) == 6
    assert numbers(place) == [0, 1, 2]


@pytest.mark.parametrize("again", [False, True])
def test_a_replay_that_another_takes_over_writes_no_more(again: bool) -> None:
    """It was only slow; what it still sends is refused, also what another replay would allow."""
    place = filled(3)
    slow = place.begin(place.connect("r"), "r", again=again)
    quick = place.connect("r")
    place.resume(quick, "r").run()
    quick.close(1.0, leave=True)

    with pytest.raises((TransactionAborted, MembershipLost)):
        slow.run()

    assert numbers(place) == [0, 1, 2]


def test_a_second_replay_ends_the_first_before_it_looks_what_was_replayed() -> None:
    """Else both would bring the letters that neither had written down yet."""
    place = filled(3)
    first = place.begin(place.connect("r1"), "r1")
    second = place.begin(place.connect("r2"), "r2")

    with pytest.raises(BrokerError):
        first.run()
    second.run()

    assert numbers(place) == [0, 1, 2]


def test_the_journal_is_looked_at_only_once_no_other_replay_can_write() -> None:
    """What another commits after the look would come twice."""
    place = filled(3)
    late = place.connect("r2")
    late.discard()  # it got no answer as it connected, and fences nobody before it begins
    first = place.begin(place.connect("r1"), "r1")

    def look() -> Journal:
        found = place.look()
        with suppress(BrokerError):
            first.run()
        return found

    start = replace(place.start(late), look=look)
    place.run_of(start, *start.begin(lambda ends: a_replay("r2", ends))).run()

    assert numbers(place) == [0, 1, 2]


def test_a_resumed_replay_keeps_the_producer_that_it_looked_with() -> None:
    """Else it would fence who came after it, and not know what that one had put back."""
    place = filled(3)
    place.begin(place.connect("r1"), "r1")
    first = place.resume(place.connect("r1"), "r1")
    place.begin(place.connect("r2"), "r2").run()

    with pytest.raises(BrokerError):
        first.run()

    assert numbers(place) == [0, 1, 2]


def test_a_replay_whose_partitions_go_to_somebody_else_stops() -> None:
    """Two processes would each read half, and one of them is fenced."""
    place = filled(3)
    broker = place.connect("r")
    run = place.begin(broker, "r")
    broker.poll(0.1, 1)
    place.cluster.evict(broker)

    with pytest.raises(MembershipLost, match="another process"):
        run.run()


def test_a_limit_holds_over_a_resumption() -> None:
    """What it put back before it died counts."""
    place = filled(2 * LETTERS_MAX)
    broker = connect_to_die(place, "begin", 3)
    with pytest.raises(Killed):
        place.begin(broker, "r", limit=LETTERS_MAX + 10).run()
    assert len(numbers(place)) == LETTERS_MAX

    place.resume(place.connect("r"), "r").run()

    assert len(numbers(place)) == LETTERS_MAX + 10
