"""What replays have written down: which there were, and which dead letters they put back."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from schemas.replay import ENTRY, Begun, Entry, Replayed
from tuwen.failures import Failed
from worker.messages import Outgoing, Record

Place = tuple[int, int]
"""Partition and offset of a dead letter."""


def journal_topic(letters_topic: str) -> str:
    """Name the topic that tells of the replays of these dead letters."""
    return f"{letters_topic}.replays"


@dataclass(slots=True)
class Journal:
    """The replays of one topic of dead letters, by id, and by which of them each letter was."""

    begun: dict[str, Begun] = field(default_factory=dict)
    replayed: dict[Place, list[str]] = field(default_factory=dict)

    def count(self, replay: str) -> int:
        """Count what a replay has put back."""
        return sum(replay in replays for replays in self.replayed.values())

    def known(self, replay: str, letters_topic: str) -> Begun:
        """Give a replay's own words; Failed, with the newest ids, when there is no such replay."""
        begun = self.begun.get(replay)
        if begun is None:
            newest = ", ".join(sorted(self.begun)[-3:])
            others = f"the newest are {newest}" if newest else "there has been none"
            raise Failed(f"there is no replay {replay!r} of {letters_topic}: {others}")
        return begun


def read(records: Iterable[Record], letters_id: str) -> Journal:
    """Read a journal; what was replayed from a deleted topic of the same name is no more.

    Raises:
        Failed: it holds something else, and so may lack what would keep a letter from coming twice.
    """
    journal = Journal()
    for record in records:
        try:
            entry = ENTRY.decode(record.value or b"")
        except msgspec.DecodeError as error:
            where = f"{record.partition.topic}/{record.partition.number} offset {record.offset}"
            raise Failed(
                f"{where} was written by no replay ({error}), so that it is not sure what was put "
                "back: keep others from writing there. A journal that is begun anew, the topic "
                "deleted, knows of no replay before it"
            ) from error
        _enter(journal, entry, letters_id)
    return journal


def _enter(journal: Journal, entry: Entry, letters_id: str) -> None:
    match entry:
        case Begun():
            journal.begun[entry.replay] = entry
        case Replayed() if entry.letters_id == letters_id:
            for partition, offsets in entry.offsets.items():
                for offset in offsets:
                    journal.replayed.setdefault((partition, offset), []).append(entry.replay)


def written(entry: Entry, letters_topic: str, now_ms: int) -> Outgoing:
    """Make the record of an entry."""
    value = msgspec.json.encode(entry)
    key = entry.replay.encode()
    return Outgoing(journal_topic(letters_topic), 0, key, value, (), now_ms)
