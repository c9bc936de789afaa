"""The memory that a worker and its decoder child share: images go in, pixels come out.

    0     the row of the batch that is in work, uint32, little endian
    4096  the images, one after the other
    then  the pixels, uint8[rows,H,W,C]

The child writes to all of it at any time, so the worker believes nothing that it reads here: sizes
are its own, a row is one of the batch's or none, and pixels are copied out before they are used.
"""

import fcntl
import mmap
import os
import struct
import sys
import tempfile
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_ROW: Final = struct.Struct("<I")
_NO_ROW: Final = 0xFFFF_FFFF
_IMAGES_AT: Final = 4096


class Layout(msgspec.Struct, frozen=True):
    """How much fits: images of `image_bytes` together, and `rows` pictures of H, W, C."""

    rows: int
    image_bytes: int
    shape: tuple[int, int, int]

    @property
    def picture_bytes(self) -> int:
        """Bytes of one picture's pixels."""
        height, width, channels = self.shape
        return height * width * channels

    @property
    def pixels_at(self) -> int:
        """Where the pixels begin."""
        return _IMAGES_AT + self.image_bytes

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole."""
        return self.pixels_at + self.rows * self.picture_bytes


def shared_file(total_bytes: int) -> int:
    """Make a file without a name, and give its descriptor. Raises OSError.

    On Linux nobody can change its size: a child that cut it off would end the worker, which would
    touch memory that is not there any more.
    """
    if sys.platform == "linux":
        file = os.memfd_create("tuwen-images", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(file, total_bytes)
        seals = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    else:
        with tempfile.TemporaryFile() as unnamed:
            file = os.dup(unnamed.fileno())
        os.ftruncate(file, total_bytes)
    return file


class Arena:
    """Either side's view of the shared memory."""

    def __init__(self, file: int, layout: Layout) -> None:
        self._memory = mmap.mmap(file, layout.total_bytes)
        self._layout = layout

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

    # The worker's side.

    def fill(self, images: Sequence[bytes]) -> None:
        """Lay the images in; no row is in work yet. They must fit."""
        _ROW.pack_into(self._memory, 0, _NO_ROW)
        start = _IMAGES_AT
        for image in images:
            end = start + len(image)
            self._memory[start:end] = image
            start = end

    def row_in_work(self, rows: int) -> int | None:
        """The row that the child says it works on; None when it is not one of `rows`."""
        (row,) = _ROW.unpack_from(self._memory, 0)
        return row if row < rows else None

    def pixels(self, rows: int) -> Pixels:
        """A copy of the first `rows` pictures, uint8[rows,H,W,C]."""
        size = rows * self._layout.picture_bytes
        seen = np.frombuffer(self._memory, np.uint8, size, self._layout.pixels_at)
        return seen.reshape(rows, *self._layout.shape).copy()

    # The child's side.

    def begin(self, row: int) -> None:
        """Say which row is in work: it is to blame if this process ends now."""
        _ROW.pack_into(self._memory, 0, row)

    def image(self, start: int, length: int) -> bytes:
        """The image that lies `start` bytes after the first one's beginning."""
        return self._memory[_IMAGES_AT + start : _IMAGES_AT + start + length]

    def keep(self, row: int, pixels: Pixels) -> None:
        """Lay a picture out for the worker."""
        start = self._layout.pixels_at + row * self._layout.picture_bytes
        self._memory[start : start + self._layout.picture_bytes] = np.ascontiguousarray(pixels).data
