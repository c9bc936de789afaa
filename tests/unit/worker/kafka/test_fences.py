"""When a fence means that another process has the slot."""

import pytest

from worker.errors import SlotTaken
from worker.kafka.fences import Fences


def test_one_fence_is_no_proof_and_two_in_a_row_are() -> None:
    """The first may be a transaction that the broker gave up."""
    fences = Fences("tuwen-pod-0")
    fences.another(explained=False)
    with pytest.raises(SlotTaken, match="slot taken"):
        fences.another(explained=False)


def test_a_commit_between_two_fences_takes_the_suspicion_away() -> None:
    """While another lives under the id nothing is committed for long."""
    fences = Fences("tuwen-pod-0")
    for _ in range(3):
        fences.another(explained=False)
        fences.none()


def test_fences_of_transactions_that_timed_out_prove_nothing() -> None:
    """A worker that is stopped again and again meets one each time."""
    fences = Fences("tuwen-pod-0")
    for _ in range(3):
        fences.another(explained=True)
