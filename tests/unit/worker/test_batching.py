"""The inbox: whatever has arrived, up to a bound, in order."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from worker.batching import Inbox
from worker.messages import Partition, Record


def records(count: int) -> list[Record]:
    """Records in the order of their offsets."""
    return [Record(Partition("posts", 0), offset, None, None, (), 0) for offset in range(count)]


@given(st.lists(st.integers(0, 20), max_size=10), st.integers(1, 16))
def test_batches_keep_the_order_and_the_bound(polls: list[int], bound: int) -> None:
    """No record is left out or given twice, and no batch is longer than its bound."""
    inbox = Inbox(bound)
    arrived = records(sum(polls))
    given_to_inbox = iter(arrived)
    for count in polls:
        inbox.put([next(given_to_inbox) for _ in range(count)])
    taken: list[Record] = []
    while len(inbox):
        batch = inbox.take()
        assert 1 <= len(batch) <= bound
        taken += batch
    assert taken == arrived


def test_a_lone_record_does_not_wait_for_a_full_batch() -> None:
    """Batching is natural: one record is a batch when it is all that has arrived."""
    inbox = Inbox(64)
    inbox.put(records(1))
    assert len(inbox.take()) == 1


def test_closing_wakes_who_waits_and_gives_no_more() -> None:
    """What waits in the inbox at a stop belongs to the next owner."""
    inbox = Inbox(64)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(len(inbox.take())))
    waiting.start()
    inbox.close()
    waiting.join(5)
    inbox.put(records(3))
    assert answers == [0]
    assert len(inbox.take()) == 0
