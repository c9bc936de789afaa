import itertools
from collections import Counter
from typing import cast

import pytest

from schemas.replay import Begun, Choice
from tuwen.command import run
from tuwen.failures import Failed
from tuwen.replay.cluster import TopicFacts
from tuwen.replay.running import Replay, Tally
from tuwen.replay.whole import _demand, _run, new_id
from worker.errors import BrokerError, OffsetOutOfRange, TransactionAborted, Unavailable
from worker.messages import Partition


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--limit", "5"],
        ["--all", "--since", "1h"],
        ["--since", "yesterday"],
        ["--resume", "x", "--again"],
        ["--resume", "x", "--reason", "no-content"],
        ["--resume", "x", "--all"],
        ["--resume", "x", "--dry-run"],
        ["--resume", "x", "--replays-max", "3"],
    ],
    ids=" ".join,
)
def test_what_is_to_be_replayed_must_be_said(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them only when that was meant, and nothing new of a replay that is resumed."""
    assert run(["dead-letters", "replay", *words]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_replay_of_letters_that_were_deleted_with_their_topic_is_not_resumed() -> None:
    """Its ends are offsets of other letters now."""
    begun = Begun("r", "old", Choice(), None, False, 3, False, {0: 5})
    _demand(begun, TopicFacts("old", 1, 1), "letters")
    with pytest.raises(Failed, match="topic 'letters' was made anew since; begin another"):
        _demand(begun, TopicFacts("new", 1, 1), "letters")


class Stopping:
    """A replay that cannot go on after three records."""

    def __init__(self, error: BrokerError) -> None:
        self.error = error
        self.tally = Tally(Counter({"no-content": 3}))

    def run(self) -> None:
        """Stop."""
        raise self.error


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (Unavailable("no answer"), "`tuwen dead-letters replay --resume r` goes on"),
        (TransactionAborted("fenced"), "`tuwen dead-letters replay --resume r` goes on"),
        (OffsetOutOfRange(Partition("letters", 0), 4, 7, 9), "begin another replay"),
    ],
)
def test_a_replay_that_stops_says_how_far_it_came_and_how_to_go_on(
    error: BrokerError, how: str
) -> None:
    """In one line; what was deleted unread does not come back by resuming."""
    with pytest.raises(Failed, match=f"replay r stopped after 3 records: .*{how}") as stopped:
        _run(cast("Replay", Stopping(error)), "r")
    assert "\n" not in str(stopped.value)


def test_ids_are_not_the_same_within_a_second() -> None:
    """They name a group and are typed by people."""
    ids = [new_id() for _ in range(3)]
    assert all(len(each) == len("20261126-083000-1a2b") for each in ids)
    assert all(a != b for a, b in itertools.pairwise(ids))
