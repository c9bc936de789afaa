from dataclasses import replace
from typing import Any, cast

import pytest

from schemas import dead_letter
from schemas.replay import Choice
from tests.unit.tuwen.replay.letters import LETTERS, MADE_MS, Place, filled, numbers, why
from tuwen.failures import Failed
from tuwen.replay import running
from tuwen.replay.sorting import Kept
from worker.errors import TransactionAborted, UnknownTopic
from worker.kafka.broker import Polled, Position
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Headers, Partition

ODD: Headers = ((b"\xff", None), (b"", b"\x00"), (b"twice", b"1"), (b"twice", b"2"))


def test_each_letter_comes_back_once_with_nothing_changed_but_a_count() -> None:
    """Key, value, headers and timestamp, nulls among them; each in its own partition."""
    place = Place()
    place.fail(None, key=None, own=ODD, added=why(partition=1))
    place.fail(b"\xff", number=1, timestamp_ms=1)

    tally = place.replay()

    back = [(r.partition.number, r.key, r.value, r.headers, r.timestamp_ms) for r in place.back()]
    count = (dead_letter.REPLAYS, b"1")
    assert back == [(0, b"key", b"\xff", (count,), 1), (1, None, None, (*ODD, count), MADE_MS)]
    assert tally.replayed == {"image-not-found": 2}
    assert not tally.kept


def test_its_group_stands_at_the_ends_that_it_began_with() -> None:
    """What failed since is for another replay, or this one would never end."""
    place = filled(5)
    broker = place.connect("r")
    run = place.begin(broker, "r")
    place.fail(b"5")

    run.run()

    assert numbers(place) == [0, 1, 2, 3, 4]
    partitions = [Partition(LETTERS, 0), Partition(LETTERS, 1)]
    assert broker.committed(partitions, 1.0) == {
        partitions[0]: Position(3),
        partitions[1]: Position(2),
    }
    assert place.progress == (5, 5)


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (Choice(), ["a", "b", "c"]),
        (Choice(reason="malformed-json"), ["b"]),
        (Choice(topic="others"), ["c"]),
        (Choice(since_ms=MADE_MS + 10), ["b", "c"]),
        (Choice(until_ms=MADE_MS + 10), ["a"]),
        (Choice(reason="malformed-json", until_ms=MADE_MS + 10), []),
    ],
    ids=str,
)
def test_what_was_chosen_comes_back_and_nothing_else(choice: Choice, chosen: list[str]) -> None:
    """By reason, by topic, from a moment on, before a moment."""
    place = Place()
    place.cluster.create_topic("others", 1)
    place.sources.counts["others"] = 1
    place.fail(b"a")
    place.fail(b"b", added=why(reason="malformed-json"), timestamp_ms=MADE_MS + 10)
    place.fail(b"c", added=why(topic="others"), timestamp_ms=MADE_MS + 20)

    place.replay(choice)

    back = [*place.back(), *place.cluster.committed_records("others")]
    assert [(record.value or b"").decode() for record in back] == chosen


def test_a_letter_is_replayed_once_whatever_replays_there_are() -> None:
    """Unless it is told again; what is refused is counted."""
    place = filled(3)
    assert place.replay().replayed.total() == 3

    tally = place.replay()
    assert numbers(place) == [0, 1, 2]
    assert tally.kept == {(Kept.REPLAYED_ALREADY, "image-not-found"): 3}

    place.replay(again=True)
    assert numbers(place) == [0, 0, 1, 1, 2, 2]


def test_a_limit_is_for_the_whole_replay_and_leaves_the_rest() -> None:
    """Another replay brings the others."""
    place = filled(10)
    assert place.replay(limit=4).replayed.total() == 4
    assert len(numbers(place)) == 4
    assert place.replay(limit=100).replayed.total() == 6
    assert numbers(place) == list(range(10))


def test_a_loop_stops_at_the_third_time() -> None:
    """A post that fails each time it comes back stays in the end."""
    place = Place()
    place.fail(b"x")
    tallies = []
    for offset in range(5):
        tallies.append(place.replay())
        newest = place.back()[-1]
        if len(place.back()) > offset:
            place.fail(newest.value, own=newest.headers, added=why(offset=newest.offset))

    assert [tally.replayed.total() for tally in tallies] == [1, 1, 1, 0, 0]
    assert (Kept.REPLAYED_TOO_OFTEN, "image-not-found") in tallies[3].kept
    assert [record.headers for record in place.back()] == [
        ((dead_letter.REPLAYS, count),) for count in (b"1", b"2", b"3")
    ]


def test_a_record_over_the_limit_of_its_topic_stays_and_the_others_go() -> None:
    """The count makes it a few bytes larger than it was."""
    place = Place()
    place.fail(b"x" * 900)
    place.fail(b"y")
    place.cluster.record_bytes_max = 900

    tally = place.replay()

    assert place.values() == [b"y"]
    assert tally.kept == {(Kept.TOO_LARGE, "image-not-found"): 1}


def test_a_finished_replay_that_is_resumed_ends_at_once() -> None:
    """There is nothing left of it."""
    place = filled(3)
    place.begin(place.connect("r"), "r").run()

    tally = place.resume(place.connect("r"), "r")
    tally.run()

    assert numbers(place) == [0, 1, 2]
    assert not tally.tally.replayed
    assert not tally.tally.kept


def test_no_letters_are_no_trouble() -> None:
    """An empty topic has its ends at once."""
    assert Place().replay() == running.Tally()


def test_an_unknown_id_is_refused_with_those_that_there_are() -> None:
    """A mistyped one would else begin anew."""
    place = filled(1)
    broker = place.connect("r")
    with pytest.raises(Failed, match="no replay 'x' of letters: there has been none"):
        place.resume(broker, "x")
    place.begin(broker, "r").run()
    with pytest.raises(Failed, match=r"no replay 'x' of letters: the newest are r$"):
        place.resume(place.connect("x"), "x")


def test_letters_of_a_topic_made_anew_were_not_replayed() -> None:
    """Their offsets began again, and mean other letters."""
    place = filled(2)
    place.replay()

    assert place.look("1").replayed
    assert not place.look("2").replayed


def test_a_journal_that_somebody_else_wrote_to_is_refused() -> None:
    """What it says no more could let a letter come twice."""
    place = filled(1)
    place.cluster.produce(place.cluster_record(b"{"))

    with pytest.raises(Failed, match=r"letters.replays/0 offset 0 was written by no replay"):
        place.replay()
    assert place.values() == []


def test_a_missing_topic_puts_nothing_back() -> None:
    """Not even what came before it."""
    place = filled(1)
    place.fail(b"x", added=why(topic="gone"))

    with pytest.raises(UnknownTopic):
        place.replay()

    assert place.values() == []


class Unsettled:
    """A broker whose group is not stable for the first polls."""

    def __init__(self, inner: Any, polls: int) -> None:
        self._inner = inner
        self._left = polls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Poll, and withhold the membership."""
        self._left -= 1
        polled: Polled = self._inner.poll(0.01, records_max)
        return polled if self._left < 0 else replace(polled, membership=None)


@pytest.mark.parametrize("limit", [None, 1, 3])
def test_what_came_before_the_group_was_stable_goes_back_once_it_is(limit: int | None) -> None:
    """Nothing is committed without a membership, and nothing is forgotten."""
    place = filled(3)
    broker = cast("MemoryBroker", Unsettled(place.connect("r"), polls=3))

    place.begin(broker, "r", limit=limit).run()

    assert len(numbers(place)) == (limit or 3)


class Withholding:
    """A broker that gives a receipt too few."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        if name != "begin":
            return getattr(self._inner, name)
        return lambda timeout_s: Withholding(self._inner.begin(timeout_s))

    def settle(self, timeout_s: float) -> Any:
        """Withhold the last."""
        return self._inner.settle(timeout_s)[:-1]


def test_nothing_is_committed_without_a_receipt_for_each_record() -> None:
    """A record that was given up is not back."""
    place = filled(2)
    run = place.begin(cast("MemoryBroker", Withholding(place.connect("r"))), "r")

    with pytest.raises(TransactionAborted, match="2 receipts for 3 records"):
        run.run()

    assert place.values() == []
    assert not place.look().replayed
