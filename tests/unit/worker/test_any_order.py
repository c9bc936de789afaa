"""The loop of the worker, whatever happens to it in whatever order: each record has one outcome.

The stories are what was found once with a guard removed, made short; the machine finds others.
"""

import pytest
from hypothesis import settings

from tests.any_order.machine import AnyOrder
from tests.any_order.world import Call, Ending, Happening, Kind, Twist, World

AnyOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=6, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def ready(*processes: int) -> World:
    """Processes of these slots, and outcomes that may be committed."""
    world = World()
    world.happen(*(Happening("start", slot) for slot in processes), Happening("posts", 1))
    world.happen(*[Happening("calm")] * 4, Happening("posts", 1), Happening("all work"))
    assert len(world.answered()) == 2
    return world


def come_to_its_end(world: World) -> None:
    """See that all is well now, and that every record comes to one outcome."""
    world.check()
    world.drain()
    assert world.answered() == dict.fromkeys(world.sources(), 1)


def amid(call: Call, *kinds: Kind) -> Happening:
    """A commit of the first process, and what happens before that call of it."""
    return Happening("commit", 0, (Twist(call, "goes on", tuple(map(Happening, kinds))),))


@pytest.mark.parametrize(
    ("call", "ending"),
    [
        ("commit", "is not answered"),
        ("commit", "fails"),
        ("commit", "comes late"),
        ("commit", "dies"),
        ("commit", "dies after"),
        ("offsets", "is not answered"),
        ("settle", "fails"),
        ("begin", "is not answered"),
    ],
)
def test_a_commit_that_comes_to_a_bad_end_is_done_once(call: Call, ending: Ending) -> None:
    """Whatever the worker was told of it, and whether it lives."""
    world = ready(0)
    world.happen(Happening("commit", 0, (Twist(call, ending),)), Happening("commit", 0))
    come_to_its_end(world)


@pytest.mark.parametrize("call", ["send", "settle", "offsets"])
def test_a_partition_that_goes_and_comes_back_amid_a_commit_is_not_committed(call: Call) -> None:
    """Its records have been polled again: what was sent of them counts for nothing."""
    world = ready(0)
    world.happen(amid(call, "rebalance"))
    assert len(world.answered()) == 2
    come_to_its_end(world)


def test_a_zombie_that_wakes_up_in_its_commit_commits_nothing() -> None:
    """Its partitions are another's, who has committed them; its poll thread slept as well."""
    world = ready(0, 1)
    zombie = world.processes[0]
    kinds: tuple[Kind, ...] = ("poll", "commit", "poll", "prepare", "infer", "commit")
    others = [Happening(kind, 1) for kind in kinds] * 2
    world.happen(
        Happening("commit", 0, (Twist("offsets", "goes on", (Happening("evict", 0), *others)),))
    )
    assert zombie.alive
    come_to_its_end(world)


def test_a_transaction_that_the_broker_gave_up_is_not_taken_for_committed() -> None:
    """It stood still for longer than its timeout, all written and offsets added."""
    world = ready(0)
    world.happen(amid("commit", "time out"))
    assert len(world.answered()) == 2
    come_to_its_end(world)


def test_a_batch_that_is_not_written_in_time_is_never_committed_around() -> None:
    """The leader of one partition of the verdicts is away: its records are given up."""
    world = ready(0)
    world.happen(*(Happening("leader goes", number) for number in (0, 1)), Happening("all commit"))
    assert len(world.answered()) == 2
    come_to_its_end(world)


def test_a_transaction_that_failed_holds_nobody_up_though_its_partitions_are_gone() -> None:
    """Its worker has nothing more to commit, and ends it all the same."""
    world = ready(0, 1)
    meanwhile = (Happening("commit", 1, (Twist("commit", "fails"),)), Happening("rebalance", 1))
    world.happen(Happening("commit", 0, (Twist("begin", "goes on", meanwhile),)))
    come_to_its_end(world)


def test_outcomes_of_a_later_batch_wait_for_those_before() -> None:
    """As when a batch is tried again, and the next is not."""
    world = ready(0)
    world.happen(Happening("all commit"), Happening("posts", 5))
    kinds: tuple[Kind, ...] = ("poll", "prepare", "prepare", "infer last", "all commit")
    world.happen(*map(Happening, kinds))
    assert len(world.answered()) == 4
    come_to_its_end(world)
