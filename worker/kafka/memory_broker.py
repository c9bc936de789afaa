"""The broker seam over a `MemoryCluster`: one member and one producer, as a process has them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from worker.errors import (
    InDoubt,
    MembershipLost,
    OffsetOutOfRange,
    SlotTaken,
    TopicMadeAnew,
    TransactionAborted,
    Unavailable,
    Undecodable,
)
from worker.kafka.broker import Ends, Membership, Polled, Position, TooLarge
from worker.kafka.client_settings import ClientSettings
from worker.kafka.fences import Fences
from worker.kafka.memory_group import Proof
from worker.kafka.memory_log import Fate, Written
from worker.kafka.ownership import Ownership
from worker.kafka.record_batches import HEADER, encode
from worker.messages import Outgoing, Partition, Receipt, Record

if TYPE_CHECKING:
    from worker.kafka.memory import MemoryCluster


class MemoryBroker:
    """A `Broker` in memory; every call holds the cluster's lock."""

    def __init__(self, cluster: "MemoryCluster", settings: ClientSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._group = cluster.group(settings.group, settings.topic)
        self._incarnation = cluster.incarnation(settings.topic)
        self._member: int | None = None
        self._ownership = Ownership()
        self._positions: dict[Partition, int] = {}
        self._told: dict[Partition, int] = {}
        self._paused: set[Partition] = set()
        self._stopped: set[Partition] = set()
        self._epoch: int | None = None
        self._fences = Fences(settings.slot_id)
        self._open: MemoryTransaction | None = None

    @property
    def member(self) -> int | None:
        """The member's id in its group; None before the first poll."""
        return self._member

    def poll(self, timeout_s: float, records_max: int) -> Polled:
        """Wait for records or a change of ownership, at most `timeout_s`."""
        records: list[Record] = []
        moved: dict[Partition, int] = {}

        def something() -> bool:
            records.extend(self._poll_once(records_max))
            moved.update({p: o for p, o in self._positions.items() if self._told.get(p) != o})
            return bool(records or moved)

        with self._cluster.changed:
            self._cluster.wait(something, timeout_s)
            self._told.update(moved)
            proof = self._group.proof(cast("int", self._member))
            membership = None if proof is None else Membership(proof)
            gained, revoked, lost = self._ownership.take()
            self._cluster.changed.notify_all()
            return Polled(records, moved, gained, revoked, lost, membership)

    def pause(self, partitions: Collection[Partition]) -> None:
        """Give no records of these until `resume`."""
        with self._cluster.changed:
            self._paused |= self._ownership.owned & set(partitions)

    def resume(self, partitions: Collection[Partition]) -> None:
        """Give records of these again."""
        with self._cluster.changed:
            self._paused -= set(partitions)

    def seek(self, partition: Partition, offset: int) -> None:
        """Go on reading at `offset`."""
        with self._cluster.changed:
            if partition in self._ownership.owned:
                self._positions[partition] = self._told[partition] = offset
                self._stopped.discard(partition)

    def committed(
        self, partitions: Collection[Partition], timeout_s: float
    ) -> Mapping[Partition, Position]:
        """Give the group's positions once no open transaction holds any of them."""
        wanted = set(partitions)
        with self._cluster.changed:
            if not self._cluster.wait(lambda: self._stable(wanted), timeout_s):
                raise Unavailable("an open transaction holds offsets of these partitions")
            known = self._group.committed
            return {partition: known[partition] for partition in wanted if partition in known}

    def ends(
        self,
        partitions: Collection[Partition],
        timeout_s: float,  # noqa: ARG002 -- the seam's.
    ) -> Mapping[Partition, Ends]:
        """Give the ends of the logs."""
        with self._cluster.changed:
            return {partition: self._cluster.log(partition).ends for partition in partitions}

    def partitions(self, topic: str, timeout_s: float) -> int:  # noqa: ARG002 -- the seam's.
        """Count the partitions of a topic."""
        with self._cluster.changed:
            return len(self._cluster.partitions_of(topic))

    def mark(
        self,
        positions: Mapping[Partition, Position],
        membership: Membership,
        timeout_s: float,  # noqa: ARG002 -- the seam's.
    ) -> None:
        """Commit positions outside any transaction."""
        with self._cluster.changed:
            self._group.check(cast("Proof", membership))
            self._group.committed.update(self.counting(positions))

    def begin(self, timeout_s: float) -> "MemoryTransaction":  # noqa: ARG002 -- the seam's.
        """Begin a transaction; a new producer fences the one before it and aborts its work."""
        with self._cluster.changed:
            if self._open is not None:
                self.discard()
            self.take_over()
            self._open = MemoryTransaction(self._cluster, self, self._settings, self._epoch)
            return self._open

    def take_over(self) -> None:
        """Make the producer: it aborts what another process left open under this slot."""
        if self._settings.delivery == "exactly-once" and self._epoch is None:
            self._epoch = self._cluster.fence(self._settings.slot_id)

    def close(self, timeout_s: float, *, leave: bool) -> None:  # noqa: ARG002 -- the seam's.
        """Close; without `leave` the group learns of it only when the member is evicted."""
        with self._cluster.changed:
            self.discard()
            if leave and self._member is not None:
                self._group.leave(self._member)
                self._cluster.changed.notify_all()

    def counting(self, positions: Mapping[Partition, Position]) -> Mapping[Partition, Position]:
        """Give those that count: none, where another topic has the name of what was polled."""
        current = self._cluster.incarnation(self._settings.topic)
        return positions if self._incarnation == current else {}

    def discard(self) -> None:
        """Throw the producer away; what it left open stays so until it is fenced."""
        self._open, self._epoch = None, None

    def finished(self) -> None:
        """Keep the producer for the next transaction."""
        self._open = None
        self._fences.none()

    def fenced(self) -> None:
        """Note that another producer has the id, or that the transaction timed out.

        Raises:
            SlotTaken: another has it again, and no timeout explains that.
        """
        self._fences.another(explained=self._cluster.has_timed_out(self._settings.slot_id))

    def _poll_once(self, records_max: int) -> list[Record]:
        self._find_out_whether_lost()
        owned = self._group.poll(cast("int", self._member))
        if owned != self._ownership.owned:
            before = self._ownership.owned
            self._give_up(before - owned)
            self._ownership.revoke(before - owned)
            self._ownership.gain(owned - before)
            self._cluster.changed.notify_all()
        return self._read(records_max)

    def _find_out_whether_lost(self) -> None:
        """Join at first; join again, with nothing, when the group has sent this member away."""
        self._group.demand_slot(self._member, "polling")
        if self._incarnation != self._cluster.incarnation(self._settings.topic):
            raise TopicMadeAnew(self._settings.topic)
        if self._member is None or not self._group.has(self._member):
            self._give_up(self._ownership.owned)
            self._ownership.lose(self._ownership.owned)
            self._member = self._group.join(self._settings.slot_id)
            self._cluster.changed.notify_all()

    def _give_up(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._positions.pop(partition, None)
            self._told.pop(partition, None)
        self._paused -= set(partitions)
        self._stopped -= set(partitions)

    def _read(self, records_max: int) -> list[Record]:
        records: list[Record] = []
        for partition in sorted(self._ownership.owned - self._paused - self._stopped):
            position = self._position(partition)
            if position is None or len(records) >= records_max:
                continue
            try:
                found, position = self._cluster.log(partition).read(
                    position, records_max - len(records)
                )
            except (Undecodable, OffsetOutOfRange):
                if records:
                    break
                self._stopped.add(partition)
                raise
            self._positions[partition] = position
            records += found
        return records

    def _position(self, partition: Partition) -> int | None:
        """Where to read: where the last read ended, or else at the group's stable position."""
        if partition not in self._positions and self._stable({partition}):
            known = self._group.committed.get(partition)
            first = self._cluster.log(partition).first
            self._positions[partition] = first if known is None else known.offset
        return self._positions.get(partition)

    def _stable(self, partitions: set[Partition]) -> bool:
        return not self._cluster.pending_offsets(self._settings.group) & partitions


class MemoryTransaction:
    """One transaction of a `MemoryBroker`; after any error it is dead."""

    def __init__(
        self,
        cluster: "MemoryCluster",
        broker: MemoryBroker,
        settings: ClientSettings,
        epoch: int | None,
    ) -> None:
        self._cluster = cluster
        self._broker = broker
        self._settings = settings
        self._epoch = epoch
        self._written = Written() if epoch is not None else None
        self._unsettled: list[tuple[Partition, Outgoing]] = []
        self._receipts: list[Receipt] = []
        self._positions: dict[Partition, Position] = {}
        self._proof: Proof | None = None
        self._alive = True

    def send(self, outgoing: Outgoing) -> TooLarge | None:
        """Keep a record for `settle`, unless it is over the limit."""
        with self._cluster.changed:
            self._demand_life(TransactionAborted)
            partitions = self._cluster.partitions_of(outgoing.topic)
            limit = self._cluster.record_bytes_max
            if HEADER.size + len(encode(outgoing, 0, 0)) > limit:
                return TooLarge(limit)
            number = outgoing.partition
            if number is None:
                number = sum(outgoing.key or b"") % len(partitions)
            self._unsettled.append((partitions[number], outgoing))
            return None

    def settle(self, timeout_s: float) -> Sequence[Receipt]:  # noqa: ARG002 -- the seam's.
        """Write all that was sent; unseen until the commit, when there is one."""
        with self._cluster.changed:
            self._demand_life(TransactionAborted)
            if self._written is not None:
                self._cluster.open(self._settings.slot_id, self._settings.group, self._written)
            late = [
                partition
                for partition, outgoing in self._unsettled
                if not self._write(partition, outgoing)
            ]
            self._unsettled.clear()
            self._cluster.changed.notify_all()
            if late:
                self._die()
                raise TransactionAborted(
                    f"{late[0].topic}/{late[0].number} was not written in time"
                )
            return list(self._receipts)

    def offsets(
        self,
        positions: Mapping[Partition, Position],
        membership: Membership,
        timeout_s: float,  # noqa: ARG002 -- the seam's.
    ) -> None:
        """Add positions, which nobody may read until the end; a stale member is refused."""
        with self._cluster.changed:
            self._demand_life(TransactionAborted)
            self._proof = cast("Proof", membership)
            self._positions.update(positions)
            if self._written is None:
                return
            try:
                self._cluster.group(self._settings.group, self._settings.topic).check(self._proof)
            except (MembershipLost, SlotTaken):
                self._die()
                raise
            self._cluster.open(self._settings.slot_id, self._settings.group, self._written)
            self._cluster.hold(self._settings.slot_id, self._broker.counting(positions))

    def commit(self, timeout_s: float) -> None:  # noqa: ARG002 -- the seam's.
        """Make all of it visible, offsets with it."""
        with self._cluster.changed:
            self._demand_life(InDoubt)
            self._end(self._commit_now)
            self._broker.finished()

    def abort(self, timeout_s: float) -> None:  # noqa: ARG002 -- the seam's.
        """Make all of it vanish; what was written at least once stays."""
        with self._cluster.changed:
            if self._alive and self._epoch == self._cluster.epoch(self._settings.slot_id):
                self._end(lambda: self._cluster.end(self._settings.slot_id, Fate.ABORTED))
            self._die()

    def _write(self, partition: Partition, outgoing: Outgoing) -> bool:
        """Write a record, and say whether it could be."""
        if partition in self._cluster.leaderless:
            return False
        offset = self._cluster.log(partition).append(outgoing, self._written)
        self._receipts.append(Receipt(partition, offset))
        return True

    def _commit_now(self) -> None:
        if self._written is not None:
            self._cluster.end(self._settings.slot_id, Fate.COMMITTED)
            return
        group = self._cluster.group(self._settings.group, self._settings.topic)
        if self._proof is not None:
            try:
                group.check(self._proof)
            except SlotTaken:
                self._die()
                raise
            except MembershipLost as error:
                self._die()
                raise InDoubt(str(error)) from error
        group.committed.update(self._broker.counting(self._positions))

    def _end(self, work: Callable[[], None]) -> None:
        work()
        self._alive = False
        self._cluster.changed.notify_all()

    def _demand_life(self, otherwise: type[TransactionAborted | InDoubt]) -> None:
        """Go on only as the newest producer of the slot, in a transaction that has not ended."""
        if not self._alive:
            raise otherwise("the transaction has ended already: begin another")
        newest = self._cluster.epoch(self._settings.slot_id)
        if self._epoch is not None and self._epoch != newest:
            self._die()
            self._broker.fenced()
            raise otherwise("another producer has taken over the transactional id")

    def _die(self) -> None:
        self._alive = False
        self._broker.discard()
