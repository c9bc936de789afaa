"""How partitions are shared out in memory: as the cooperative assignor of Kafka does."""

from hypothesis import given
from hypothesis import strategies as st

from worker.kafka.memory_group import Member, share
from worker.messages import Partition


@given(st.lists(st.none() | st.integers(0, 4), max_size=12), st.integers(1, 5))
def test_a_share_is_fair_keeps_what_it_can_and_takes_before_it_gives(
    owners: list[int | None], count: int
) -> None:
    """Nobody gets what another still has; whoever has too much gives up only that."""
    partitions = [Partition("posts", number) for number in range(len(owners))]
    members = [
        Member(
            str(index), frozenset(p for p, o in zip(partitions, owners, strict=True) if o == index)
        )
        for index in range(count)
    ]
    shares = share(partitions, members)
    base, over = divmod(len(partitions), count)
    fair = base + (over > 0)
    for member, given_now in zip(members, shares, strict=True):
        others = set().union(*(each.owned for each in members if each is not member))
        assert not given_now & others
        assert len(given_now) <= fair
        kept = len(given_now & member.owned)
        assert kept >= min(len(member.owned), base)
    assert sum(map(len, shares)) == len(set().union(*shares))
    if not any(len(member.owned) > base for member in members):
        free = [p for p in partitions if not any(p in member.owned for member in members)]
        assert set(free) <= set().union(*shares)
