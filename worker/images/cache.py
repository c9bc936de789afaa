"""Pictures that were seen before, by reference and version, within a bound of bytes.

A picture enters as pixels, once it is decoded, so that posts behind it need not fetch it; what the
CNN gave for it takes their place. What was longest not asked for leaves first. It lives in memory,
for one bundle: of another one nothing is found.
"""

import hashlib
import sys
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from typing import Final, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from worker.images.sources import Version

ENTRY_BYTES: Final = 400
"""What an entry takes besides what it holds: key, table, objects. They are some 200."""

Pixels = NDArray[np.uint8]
Seen = NDArray[np.float32]
"""What the CNN gave for a picture, float32[W]: `inference.classifier.Scores.pictures`."""


class Kept(msgspec.Struct, frozen=True):
    """A picture: at first `pixels` uint8[H,W,C], then float32[W] that the CNN has `seen` in them.

    `version` is its source's, None where the source has none; `content` is the SHA-256 of the image
    then, else empty. Nobody need ask again before `fresh_until_s` of a monotonic clock.
    """

    pixels: Pixels | None
    seen: Seen | None
    version: Version | None
    content: bytes
    fresh_until_s: float


Found = Literal["hit", "shared", "miss"]
"""What a post's image was: seen by the CNN before, fetched for a post before it, or neither."""


class CacheWatch(Protocol):
    """Who is told what the cache is worth, and how full it is."""

    def image_cache_asked(self, found: Found, posts: int) -> None:
        """For so many posts this was found."""

    def image_cache_holds(self, held_bytes: int, evicted: int) -> None:
        """It holds so much, and has just dropped so many pictures to make room."""


class Unwatched:
    """Tells nobody."""

    def image_cache_asked(self, found: Found, posts: int) -> None:
        """Forget it."""

    def image_cache_holds(self, held_bytes: int, evicted: int) -> None:
        """Forget it."""


class ImageCache:
    """Holds at most `bytes_max` bytes, 0: nothing. Any thread may use it."""

    def __init__(
        self, bytes_max: int, identity: bytes, watch: CacheWatch, never: str | None = None
    ) -> None:
        """`identity` tells the bundle from others; the reference `never` is never kept."""
        self.watch: Final = watch
        self._bytes_max = bytes_max
        self._begun = hashlib.sha256(identity)
        self._never = never
        self._entries: OrderedDict[bytes, Kept] = OrderedDict()
        self._held_bytes = 0
        self._in_use = threading.Lock()

    @property
    def held_bytes(self) -> int:
        """What the entries take, a little more rather than less."""
        return self._held_bytes

    def content_of(self, image: bytes) -> bytes:
        """The hash of an image whose source tells no version; empty where none is kept."""
        return hashlib.sha256(image).digest() if self._bytes_max else b""

    def keys(self, references: Iterable[str]) -> dict[str, bytes]:
        """The key of each reference that may be kept: none of a cache that is off.

        A hash, as a reference may be as long as an image; a strong one, as strangers write them.
        """
        if not self._bytes_max:
            return {}
        return {each: self._key(each) for each in references if each != self._never}

    def known(self, keys: Mapping[str, bytes]) -> dict[str, Kept]:
        """What is kept of these references."""
        found = {}
        with self._in_use:
            for reference, key in keys.items():
                kept = self._entries.get(key)
                if kept is not None:
                    self._entries.move_to_end(key)
                    found[reference] = kept
        return found

    def keep(self, pictures: Mapping[bytes, Kept]) -> None:
        """Keep these by their keys, in the place of what was kept before."""
        if not pictures:
            return
        with self._in_use:
            for key, kept in pictures.items():
                self._drop(key)
                self._entries[key] = kept
                self._held_bytes += size(kept)
            evicted = self._make_room()
        self.watch.image_cache_holds(self._held_bytes, evicted)

    def fill(self, seen: Collection[tuple[bytes, Pixels, Seen]]) -> None:
        """Put what the CNN gave in the place of the very pixels that it was given, by their keys.

        Where these are gone, or others have come since, it is forgotten.
        """
        if not seen:
            return
        with self._in_use:
            for key, pixels, vector in seen:
                kept = self._entries.get(key)
                if kept is None or kept.pixels is not pixels:
                    continue
                # A row of a batch's array would keep the whole of it.
                filled = msgspec.structs.replace(kept, pixels=None, seen=vector.copy())
                self._entries[key] = filled
                self._held_bytes += size(filled) - size(kept)
            evicted = self._make_room()
        self.watch.image_cache_holds(self._held_bytes, evicted)

    def _key(self, reference: str) -> bytes:
        digest = self._begun.copy()
        digest.update(reference.encode("utf-8", "surrogatepass"))
        return digest.digest()

    def _drop(self, key: bytes) -> None:
        kept = self._entries.pop(key, None)
        if kept is not None:
            self._held_bytes -= size(kept)

    def _make_room(self) -> int:
        evicted = 0
        while self._held_bytes > self._bytes_max:
            _, kept = self._entries.popitem(last=False)
            self._held_bytes -= size(kept)
            evicted += 1
        return evicted


def no_cache() -> ImageCache:
    """One that keeps nothing."""
    return ImageCache(0, b"", Unwatched())


def size(kept: Kept) -> int:
    """Bytes that an entry takes. Its arrays must own their memory: of a view too little is seen."""
    parts = kept.version or ()
    held = (kept.pixels, kept.seen, kept.content, parts, *parts)
    return ENTRY_BYTES + sum(map(sys.getsizeof, held))
