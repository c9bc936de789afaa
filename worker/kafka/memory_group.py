"""A consumer group in memory: members, generations, and cooperative hand-over of partitions.

As in Kafka a generation begins when every member has rejoined, which it does by polling. A
partition that is to move is first taken from its owner, and given to the next in the generation
after: nobody ever owns what another may still be working on.

Members are static: one that joins under the slot of another takes its place, with what it owned
and without a new generation, and fences it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from worker.errors import MembershipLost
from worker.kafka.broker import Position
from worker.kafka.fences import taken
from worker.messages import Partition


@dataclass(frozen=True, slots=True)
class Proof:
    """A membership: valid for one member in one generation."""

    member: int
    generation: int


@dataclass(slots=True)
class Member:
    """What the group knows of a member; `owned` is what it was last given."""

    slot_id: str
    owned: frozenset[Partition] = frozenset()
    rejoined: bool = False
    given: frozenset[Partition] | None = None


@dataclass(slots=True)
class MemoryGroup:
    """One group on one topic. Not thread-safe: the cluster's lock guards it."""

    partitions: Sequence[Partition]
    generation: int = 0
    committed: dict[Partition, Position] = field(default_factory=dict)
    _members: dict[int, Member] = field(default_factory=dict)
    _fenced: dict[int, str] = field(default_factory=dict)
    _rebalancing: bool = False
    _joined_ever: int = 0

    def join(self, slot_id: str) -> int:
        """Take in a member and give its id: a new one, or the successor of its slot's last."""
        self._joined_ever += 1
        joined, me = self._joined_ever, Member(slot_id)
        last = self.holder(slot_id)
        if last is None:
            self._members[joined] = me
            self._rebalance()
            return joined
        self._fenced[last] = slot_id
        before = self._members[last]
        if not self._rebalancing:
            me.given = before.owned if before.given is None else before.given
        self._members = {
            joined if member == last else member: me if member == last else each
            for member, each in self._members.items()
        }
        return joined

    def leave(self, member: int) -> None:
        """Let a member go, or send it away: its partitions are free at once."""
        if self._members.pop(member, None) is not None and self._members:
            self._rebalance()
            self._complete()

    def share_out(self, partitions: Sequence[Partition]) -> None:
        """Share out anew what the topic has now; what was committed of other partitions is gone."""
        self.partitions = partitions
        for partition in self.committed.keys() - set(partitions):
            del self.committed[partition]
        self._rebalance()

    def holder(self, slot_id: str) -> int | None:
        """Give the member that holds a slot."""
        return next((m for m, each in self._members.items() if each.slot_id == slot_id), None)

    def free_unowned(self, slot_id: str) -> None:
        """Send a slot's dead member away where partitions wait for it to rejoin.

        It had to give up some and died before it rejoined: its successor, which takes its place
        in this generation, would not know of them.
        """
        given = [
            each.owned if each.given is None else each.given for each in self._members.values()
        ]
        dead = self.holder(slot_id)
        if (
            dead is not None
            and not self._rebalancing
            and sum(map(len, given)) < len(self.partitions)
        ):
            self.leave(dead)

    def has(self, member: int) -> bool:
        """Whether the group still counts on this member."""
        return member in self._members

    def demand_slot(self, member: int | None, doing: str) -> None:
        """Raise SlotTaken when another member has taken this one's place."""
        if member in self._fenced:
            raise taken(self._fenced[member], doing)

    def poll(self, member: int) -> frozenset[Partition]:
        """Let a member rejoin where the group is rebalancing, and give what it owns."""
        me = self._members[member]
        while True:
            if me.given is not None:
                taken = me.owned - me.given
                me.owned, me.given = me.given, None
                if taken:
                    self._rebalance()
            if not self._rebalancing:
                return me.owned
            me.rejoined = True
            self._complete()
            if me.given is None:
                return me.owned

    def proof(self, member: int) -> Proof | None:
        """Give the membership; None in the middle of a rebalance."""
        if self._members[member].rejoined:
            return None
        return Proof(member, self.generation)

    def check(self, proof: Proof) -> None:
        """Raise MembershipLost unless this member is in this generation, SlotTaken if fenced."""
        self.demand_slot(proof.member, "committing offsets")
        if proof.member not in self._members:
            raise MembershipLost("the group has sent this member away")
        if proof.generation != self.generation:
            raise MembershipLost(
                f"the group is in generation {self.generation}, not in {proof.generation}"
            )

    def _rebalance(self) -> None:
        self._rebalancing = True
        for each in self._members.values():
            each.rejoined = False

    def _complete(self) -> None:
        """Begin the next generation when all have rejoined, and none is still to hear of this."""
        members = self._members.values()
        if not self._rebalancing or not all(each.rejoined for each in members):
            return
        self.generation += 1
        self._rebalancing = False
        for each, given in zip(members, share(self.partitions, list(members)), strict=True):
            each.given, each.rejoined = given, False


def share(partitions: Sequence[Partition], members: Sequence[Member]) -> list[frozenset[Partition]]:
    """Say what each member owns next: balanced, keeping what it has, taking before giving."""
    claims: Mapping[Partition, int] = {
        partition: index for index, member in enumerate(members) for partition in member.owned
    }
    quotas = _quotas(len(partitions), [len(member.owned) for member in members])
    kept: list[set[Partition]] = [set() for _ in members]
    free: list[Partition] = []
    for partition in partitions:
        owner = claims.get(partition)
        if owner is not None and len(kept[owner]) < quotas[owner]:
            kept[owner].add(partition)
        elif owner is None:
            free.append(partition)
    for partition in free:
        needy = [index for index in range(len(members)) if len(kept[index]) < quotas[index]]
        kept[min(needy, key=lambda index: len(kept[index]))].add(partition)
    return [frozenset(each) for each in kept]


def _quotas(partitions: int, owned: Sequence[int]) -> list[int]:
    """Share a number out evenly; who owns more gets what is over."""
    base, over = divmod(partitions, len(owned))
    richest = sorted(range(len(owned)), key=lambda index: -owned[index])[:over]
    return [base + (index in richest) for index in range(len(owned))]
