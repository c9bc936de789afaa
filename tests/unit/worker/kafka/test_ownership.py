"""What is told of partitions that came and went between two polls."""

from worker.kafka.ownership import Ownership
from worker.messages import Partition

A, B = Partition("posts", 0), Partition("posts", 1)


def test_changes_are_told_once() -> None:
    """And then there are none."""
    ownership = Ownership()
    ownership.gain([A, B])
    assert ownership.take() == ({A, B}, set(), set())
    ownership.revoke([A])
    ownership.lose([B])
    assert ownership.take() == (set(), {A}, {B})
    assert ownership.take() == (set(), set(), set())
    assert ownership.owned == set()


def test_what_came_and_went_was_never_owned() -> None:
    """Nobody has seen it; to call it gained would be wrong."""
    ownership = Ownership()
    ownership.gain([A])
    ownership.revoke([A])
    assert ownership.take() == (set(), set(), set())


def test_what_went_and_came_back_is_told_as_both() -> None:
    """It is owned, but what was polled before counts no more."""
    ownership = Ownership()
    ownership.gain([A])
    ownership.take()
    ownership.lose([A])
    ownership.gain([A])
    assert ownership.take() == ({A}, set(), {A})
    assert ownership.owned == {A}


def test_what_went_came_and_went_is_gone() -> None:
    """What went first is still to be told."""
    ownership = Ownership()
    ownership.gain([A])
    ownership.take()
    ownership.revoke([A])
    ownership.gain([A])
    ownership.revoke([A])
    assert ownership.take() == (set(), {A}, set())
