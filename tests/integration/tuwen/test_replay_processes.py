"""Replays as processes that other replays and Ctrl-C reach."""

import subprocess
import sys

import pytest

from tests.conftest import MakeTopic
from tests.integration.tuwen.replay_place import Place

pytestmark = pytest.mark.kafka


@pytest.fixture
def place(kafka: str, make_topic: MakeTopic) -> Place:
    """Topics that no other test uses."""
    return Place(kafka, make_topic("posts", partitions=2), make_topic("dead-letters", partitions=1))


def test_two_replays_at_a_time_bring_each_letter_once(place: Place) -> None:
    """The second ends the first, which is told how to go on, and then finds nothing left to do."""
    place.write([place.letter(b"%d" % number) for number in range(3_000)])
    first = started(place)
    assert first.stderr is not None
    replay = first.stderr.readline().split()[1].rstrip(";")

    assert place.do("--all") == 0

    told, code = first.stderr.read(), first.wait(30)
    first.stderr.close()
    assert code == 0 or f"`tuwen dead-letters replay --resume {replay}` goes on" in told
    assert place.do("--resume", replay) == 0
    assert sorted(int(record.value or b"") for record in place.back()) == list(range(3_000))


def started(place: Place) -> "subprocess.Popen[str]":
    """Start a replay of everything."""
    flags = ["--bootstrap-servers", place.servers, "--dead-letters-topic", place.letters]
    typed = [sys.executable, "-P", "-m", "tuwen", "dead-letters", "replay", "--all", *flags]
    return subprocess.Popen(typed, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_leaves_a_replay_that_goes_on(place: Place) -> None:
    """Its id was said before it could be stopped."""
    place.write([place.letter(b"%d" % number) for number in range(2_000)])
    process = started(place)
    assert process.stderr is not None
    replay = process.stderr.readline().split()[1].rstrip(";")
    process.send_signal(2)
    process.wait(20)
    process.stderr.close()

    assert place.do("--resume", replay) == 0

    assert sorted(int(record.value or b"") for record in place.back()) == list(range(2_000))
