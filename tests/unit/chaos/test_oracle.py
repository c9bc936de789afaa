import json
from typing import cast

import pytest
from confluent_kafka import Message

from tests.chaos.oracle import Outcomes, Source, compare, counted
from tests.chaos.scenario import Figures

SENT: dict[Source, str] = {("posts", 0, 0): "a", ("posts", 0, 1): "b"}


class Read:
    """What the oracle asks of a message that a client gave it."""

    def __init__(self, key: str, value: object, **headers: str) -> None:
        self._key, self._value = key.encode() or None, json.dumps(value).encode()
        self._headers = [(name, text.encode()) for name, text in headers.items()]

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes:
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._headers


def verdict(post_id: str, offset: int) -> Message:
    """A verdict of the post at an offset."""
    source = {"topic": "posts", "partition": 0, "offset": offset}
    return cast("Message", Read(post_id, {"id": post_id, "source": source}))


def letter(key: str, offset: int, **more: str) -> Message:
    """A dead letter of the post at an offset."""
    place = {"topic": "posts", "partition": "0", "offset": str(offset)}
    headers = {f"__connect.errors.{name}": text for name, text in place.items()}
    return cast("Message", Read(key, "", **headers, **{"tuwen.reason": "poison", **more}))


def found(*messages: Message) -> Outcomes:
    """What the oracle makes of these."""
    return counted(messages, SENT)


def judged(committed: Outcomes, everything: Outcomes | None = None) -> Figures:
    """What it says of them."""
    figures = Figures()
    compare(figures, SENT, committed, everything or committed)
    return figures


def test_each_post_with_one_verdict_or_one_dead_letter_is_all_right() -> None:
    """Nothing is lost, twice, or strange."""
    figures = judged(found(verdict("a", 0), letter("b", 1)))
    assert (figures.posts, figures.lost, figures.twice, figures.faults) == (2, 0, 0, [])


def test_a_post_without_an_outcome_is_lost() -> None:
    """However many the others have."""
    assert judged(found(verdict("a", 0), verdict("a", 0))).lost == 1


@pytest.mark.parametrize("second", [verdict("b", 1), letter("b", 1)], ids=["verdict", "letter"])
def test_a_post_with_two_outcomes_came_twice(second: Message) -> None:
    """Of whatever kind they are."""
    assert judged(found(verdict("a", 0), verdict("b", 1), second)).twice == 1


def test_an_id_that_comes_twice_under_two_sources_came_twice() -> None:
    """And it answers a post that has another id."""
    figures = judged(found(verdict("a", 0), verdict("a", 1)))
    assert figures.twice == 1
    assert figures.faults


def test_an_outcome_of_no_post_is_a_fault() -> None:
    """Nobody sent what it answers."""
    assert judged(found(verdict("a", 0), verdict("b", 1), verdict("c", 2))).faults


def test_a_letter_without_its_key_is_known_by_its_source() -> None:
    """There was no room for the key."""
    short = letter("", 1, **{"tuwen.omitted": "key and value"})
    figures = judged(found(verdict("a", 0), short))
    assert (figures.lost, figures.twice, figures.faults) == (0, 0, [])


def test_what_was_aborted_is_what_only_an_uncommitted_reader_sees() -> None:
    """It proves that a fault has hit."""
    committed = [verdict("a", 0), verdict("b", 1)]
    assert judged(found(*committed), found(*committed, verdict("b", 1))).uncommitted == 1
