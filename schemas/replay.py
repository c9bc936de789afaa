"""What a replay writes down about itself, on a topic beside the dead letters.

`Begun` is written once, before anything is put back. `Replayed` goes with the records that it
tells of, in their transaction: whoever reads one finds the others on their topics.
"""

from typing import Final

import msgspec


class Choice(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which dead letters are meant; None leaves it open. Times are of the posts, since the epoch.

    `since_ms` is the earliest that is taken, `until_ms` the first that is not.
    """

    reason: str | None = None
    topic: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """A replay: what it was told, and where it ends. All of it stays as it is to the end.

    `letters_id` is Kafka's id of the dead letters' topic, which one that was deleted and made
    anew does not share; `ends` gives, for each partition, the first offset that is left out.
    """

    replay: str
    letters_id: str
    choice: Choice
    limit: int | None
    again: bool
    replays_max: int
    new_timestamps: bool
    ends: dict[int, int]


class Replayed(msgspec.Struct, frozen=True, tag="replayed"):
    """Dead letters whose records were put back in this transaction, by partition."""

    replay: str
    letters_id: str
    offsets: dict[int, tuple[int, ...]]


Entry = Begun | Replayed
ENTRY: Final = msgspec.json.Decoder(Entry)
