"""The frozen values that the worker's stages hand each other.

    Record → Post → Fetched → Features → Scores → Verdict → Receipt → committed

A stage gets a batch and gives a batch, in the same order. What cannot go on is a `Reject` in
the place of its post: a value like any other, which gets its receipt through the dead letters.

They are made for every post: as structs they cost a tenth of what frozen dataclasses do.
"""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.post import Post
from schemas.reasons import Reason

Headers = tuple[tuple[bytes, bytes | None], ...]


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record as the broker holds it, byte for byte. `timestamp_ms` is since the epoch, UTC."""

    partition: Partition
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class Reject(msgspec.Struct, frozen=True, gc=False):
    """A record that gets no verdict, and why. `detail` never holds the post's content.

    `stage` is where, for a reason that may come of several stages.
    """

    record: Record
    reason: Reason
    detail: str
    stage: str = ""


class Read(msgspec.Struct, frozen=True, gc=False):
    """A record and the post that it holds."""

    record: Record
    post: Post


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A post with its image: `pixels` is uint8[H,W,C], None where there is none to be had.

    `missing` is the reason for the modality that is not used, None when both are. Where the CNN has
    seen the image before, what it gave, float32[W], is there in the place of pixels; else `key` is
    where the cache waits for that, if it does.
    """

    record: Record
    post: Post
    pixels: NDArray[np.uint8] | None
    missing: Reason | None
    seen: NDArray[np.float32] | None = None
    key: bytes | None = None


class Later(msgspec.Struct, frozen=True, gc=False):
    """A post whose image cannot be had now, and may be had when it is asked for again.

    That may help after `again_s` seconds at the soonest. `otherwise` is what the post comes to
    when nobody asks again.
    """

    read: Read
    otherwise: Fetched | Reject
    again_s: float


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record to be written: verdict or dead letter. `partition` None lets the client choose."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What a source record came to: exactly one for each.

    A verdict has a `confidence`; its `label` is None where it abstains, and its `reason` says why
    a modality is missing, if one is. A dead letter has neither, and its `reason` says why.
    """

    source: Record
    outgoing: Outgoing
    label: str | None
    confidence: float | None
    reason: Reason | None


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """Where the broker put an outgoing record. Only the sink makes these."""

    partition: Partition
    offset: int
