import hashlib
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from worker.images.cache import ImageCache, Kept, Unwatched, size

BUNDLE = b"a bundle"


class Watching(Unwatched):
    """Notes how full the cache is."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.evicted = 0

    def image_cache_holds(self, held_bytes: int, evicted: int) -> None:
        """Note it."""
        self.held.append(held_bytes)
        self.evicted += evicted


def pixels(side: int = 4) -> NDArray[np.uint8]:
    """A picture."""
    return np.zeros((side, side, 3), np.uint8)


def kept(picture: NDArray[np.uint8], version: tuple[Any, ...] | None = (1,)) -> Kept:
    """A picture that the CNN has not seen."""
    return Kept(picture, None, version, b"", 0.0)


def keep(cache: ImageCache, references: Sequence[str], side: int = 4) -> dict[str, Kept]:
    """Keep a picture for each."""
    found = {each: kept(pixels(side)) for each in references}
    keys = cache.keys(references)
    cache.keep({keys[each]: one for each, one in found.items()})
    return found


def known(cache: ImageCache, *references: str) -> dict[str, Kept]:
    """What the cache has of these."""
    return cache.known(cache.keys(references))


def test_what_the_cnn_saw_takes_the_place_of_the_pixels() -> None:
    """Of its own memory, with the version as it was; the cache takes less then."""
    watching = Watching()
    cache = ImageCache(10**6, BUNDLE, watching)
    picture = keep(cache, ["file:a"], side=64)["file:a"].pixels
    assert picture is not None
    batch = np.arange(8, dtype=np.float32).reshape(2, 4)
    cache.fill([(cache.keys(["file:a"])["file:a"], picture, batch[1])])
    found = known(cache, "file:a")["file:a"]
    assert found.seen is not None
    assert (found.pixels, found.version, found.seen.tolist()) == (None, (1,), [4, 5, 6, 7])
    assert found.seen.flags.owndata
    assert watching.held[1] < watching.held[0] - 10_000


def test_what_the_cnn_saw_in_another_picture_is_not_taken_for_it() -> None:
    """The image changed while its old self was with the CNN."""
    cache = ImageCache(10**6, BUNDLE, Unwatched())
    key = cache.keys(["file:a"])["file:a"]
    old = keep(cache, ["file:a"])["file:a"].pixels
    new = keep(cache, ["file:a"])["file:a"].pixels
    assert old is not None
    cache.fill([(key, old, np.ones(3, np.float32))])
    found = known(cache, "file:a")["file:a"]
    assert found.pixels is new
    assert found.seen is None


def test_another_bundle_finds_nothing() -> None:
    """Its CNN sees other things in the same image."""
    one, other = (ImageCache(10**6, each, Unwatched()) for each in (BUNDLE, b"another"))
    keep(one, ["file:a"])
    assert set(one.keys(["file:a"]).values()).isdisjoint(other.keys(["file:a"]).values())
    assert one.known(other.keys(["file:a"])) == {}


def test_a_cache_of_no_bytes_is_off() -> None:
    """It makes no key, so that nobody hashes for nothing; nor for the reference to be left out."""
    assert ImageCache(0, BUNDLE, Unwatched()).keys(["file:a"]) == {}
    assert list(ImageCache(1, BUNDLE, Unwatched(), "file:a").keys(["file:a", "file:b"])) == [
        "file:b"
    ]


def test_a_reference_of_any_characters_has_a_key() -> None:
    """A lone surrogate is no text that could be encoded, and may be in a reference."""
    keys = ImageCache(1, BUNDLE, Unwatched()).keys(["file:\ud800", "file:猫"])
    assert len({*keys.values()}) == 2
    assert keys["file:猫"] == hashlib.sha256(BUNDLE + "file:猫".encode()).digest()


def test_what_was_longest_not_asked_for_leaves_first() -> None:
    """To be known is to be asked for."""
    watching = Watching()
    cache = ImageCache(3 * size(kept(pixels())), BUNDLE, watching)
    keep(cache, ["file:a", "file:b", "file:c"])
    assert list(known(cache, "file:a")) == ["file:a"]
    keep(cache, ["file:d"])
    assert list(known(cache, "file:a", "file:b", "file:c", "file:d")) == [
        "file:a",
        "file:c",
        "file:d",
    ]
    assert watching.evicted == 1


STEPS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 20), st.booleans(), st.integers(0, 40)),
    max_size=60,
)


@settings(max_examples=100, deadline=None)
@given(bytes_max=st.integers(1, 20_000), steps=STEPS)
def test_the_bound_holds_whatever_is_kept_and_filled(
    bytes_max: int, steps: list[tuple[str, int, bool, int]]
) -> None:
    """And what is counted is what is there."""
    watching = Watching()
    cache = ImageCache(bytes_max, BUNDLE, watching)
    for reference, side, is_filled, width in steps:
        picture = keep(cache, [reference], side)[reference].pixels
        assert picture is not None
        if is_filled:
            key = cache.keys([reference])[reference]
            cache.fill([(key, picture, np.zeros(width, np.float32))])
        there = known(cache, *"abcdefgh")
        assert cache.held_bytes == sum(map(size, there.values())) <= bytes_max
    assert all(held <= bytes_max for held in watching.held)


@pytest.mark.parametrize("width", [3, 64, 1024])
def test_no_more_memory_is_held_than_is_counted(width: int) -> None:
    """Real references with long versions; what Python takes, by its own count."""
    cache = ImageCache(10**8, BUNDLE, Unwatched())
    vector = np.zeros((2, width), np.float32)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(2000):
            reference = f"http://img.example.com/{number}"
            key = cache.keys([reference])[reference]
            picture = pixels()
            version = (reference, f'"{number:020d}"')
            cache.keep({key: Kept(picture, None, version, b"", 1e6 + number)})
            cache.fill([(key, picture, vector[1])])
        del key, picture, version, reference
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= cache.held_bytes <= 1.6 * (after - before)
