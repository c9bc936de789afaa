"""What a worker and its decoder child say to each other through two pipes, and how it is written.

The worker asks for a batch: its number and the length of each image, uint32, little endian. The
child answers in frames, a length and MessagePack: once when it is ready, then once for each batch
with the images that gave no pixels. What a child says is checked against these types, and a child
that says anything else has ended badly.
"""

import struct
from collections.abc import Sequence
from typing import Annotated, Final, Literal

import msgspec

from features.images import ImageLimits
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from worker.images.decoder_child.arena import Layout

ROWS_MAX: Final = 64
"""Images in one request, which a pipe takes whole: POSIX promises 512 bytes."""

REQUEST_BYTES_MAX: Final = 4 * (1 + ROWS_MAX)
FRAME_BYTES_MAX: Final = 32 * 1024

Lock = Literal["no-new-privileges", "landlock", "resource-limits", "seccomp"]


class Task(msgspec.Struct, frozen=True):
    """All that a child is told at its start.

    `arena` is the descriptor of the shared memory; `memory_bytes` and `cpu_s` are what the child
    may use from then on, until its end.
    """

    spec: ImageInput
    limits: ImageLimits
    layout: Layout
    arena: int
    memory_bytes: int
    cpu_s: int


class Ready(msgspec.Struct, frozen=True):
    """A child is ready, and is held by these."""

    locks: tuple[Lock, ...]


class Problem(msgspec.Struct, frozen=True, array_like=True):
    """Why a row has no pixels."""

    row: Annotated[int, msgspec.Meta(ge=0, lt=ROWS_MAX)]
    reason: Reason
    detail: Annotated[str, msgspec.Meta(max_length=200, pattern="^[ -~]*$")]


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What came of a batch: pixels in the shared memory, but for these."""

    batch: int
    problems: tuple[Problem, ...]


_LENGTH: Final = struct.Struct("<I")
_ENCODE: Final = msgspec.msgpack.Encoder().encode
FRAME_HEAD_BYTES: Final = _LENGTH.size


def request(batch: int, images: Sequence[bytes]) -> bytes:
    """Write a request."""
    return struct.pack(f"<{1 + len(images)}I", batch, *map(len, images))


def requested(content: bytes) -> tuple[int, tuple[int, ...]]:
    """Read a request: the batch's number, and the length of each image."""
    batch, *lengths = struct.unpack(f"<{len(content) // 4}I", content)
    return batch, tuple(lengths)


def frame(said: Ready | Answer) -> bytes:
    """Write what a child says."""
    content = _ENCODE(said)
    return _LENGTH.pack(len(content)) + content


def frame_bytes(begun: bytes) -> int:
    """The bytes of the whole frame that has begun; of less than its head, those of the head."""
    if len(begun) < FRAME_HEAD_BYTES:
        return FRAME_HEAD_BYTES
    return FRAME_HEAD_BYTES + int(_LENGTH.unpack_from(begun)[0])
