import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.cache import Found, ImageCache, Unwatched
from worker.images.pictures import Picture, Pictures
from worker.images.sources import NOTHING_KNOWN, Answer, Known, Unchanged, Version, Versioned

GONE = ImageProblem(Reason.IMAGE_NOT_FOUND, "none")
DAMAGED = ImageProblem(Reason.IMAGE_DAMAGED, "ends too early")


class Shelf:
    """A source whose images may change; notes what it was asked, and what was known."""

    def __init__(self) -> None:
        self.images: dict[str, bytes] = {}
        self.versions: dict[str, Version] = {}
        self.fresh_s = 0.0
        self.asked: list[str] = []
        self.known: list[Version | None] = []

    def put(self, reference: str, image: bytes, version: Version | None = None) -> None:
        """Let it have an image."""
        self.images[reference] = image
        if version is not None:
            self.versions[reference] = version

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Give what is there, or say that it is what was there."""
        self.asked += references
        self.known += map(known.get, references)
        return [self._answer(each, known.get(each)) for each in references]

    def _answer(self, reference: str, known: Version | None) -> Answer:
        if reference not in self.images:
            return GONE
        image, version = self.images[reference], self.versions.get(reference)
        if version is None:
            return image
        if version == known:
            return Unchanged(version, self.fresh_s)
        return Versioned(image, version, self.fresh_s)


class Lens(Unwatched):
    """Decodes an image to its length, as a view of a batch; notes what it decoded and was told."""

    def __init__(self) -> None:
        self.decoded: list[bytes] = []
        self.found: Counter[Found] = Counter()

    def decode(self, images: Sequence[bytes]) -> list[NDArray[np.uint8] | ImageProblem]:
        """See the good ones."""
        self.decoded += images
        batch = np.zeros((len(images), 1, 1, 3), np.uint8)
        batch[:, 0, 0, 0] = [len(image) for image in images]
        return [
            DAMAGED if image == b"bad" else row for image, row in zip(images, batch, strict=True)
        ]

    def image_cache_asked(self, found: Found, posts: int) -> None:
        """Note it."""
        self.found[found] += posts


class World:
    """Pictures of a shelf through a lens and a cache; `now_s` is what the clock says."""

    def __init__(self, bytes_max: int = 10**6) -> None:
        self.shelf, self.lens = Shelf(), Lens()
        self.cache = ImageCache(bytes_max, b"a bundle", self.lens)
        self.now_s = 1000.0
        self._pictures = Pictures(self.shelf, self.lens, self.cache, lambda: self.now_s)

    def of(self, *references: str) -> list[Picture | ImageProblem]:
        """Ask for a batch."""
        return self._pictures.of(references)

    def picture(self, reference: str) -> Picture:
        """Ask for one that is there."""
        (picture,) = self.of(reference)
        assert isinstance(picture, Picture)
        return picture

    def seen(self, reference: str) -> None:
        """Ask for one, and let the CNN see it."""
        picture = self.picture(reference)
        assert picture.pixels is not None
        assert picture.key is not None
        vector = np.array([picture.pixels[0, 0, 0]], np.float32)
        self.cache.fill([(picture.key, picture.pixels, vector)])


@pytest.fixture
def world() -> World:
    """One with an image whose version is told."""
    world = World()
    world.shelf.put("a", b"first", (1,))
    return world


def test_what_its_source_calls_unchanged_is_neither_decoded_nor_shown_to_the_cnn(
    world: World,
) -> None:
    """It is asked for with the version that is known."""
    world.seen("a")
    picture = world.picture("a")
    assert picture.seen is not None
    assert (picture.pixels, picture.seen.tolist()) == (None, [5])
    assert (world.shelf.asked, world.shelf.known) == (["a", "a"], [None, (1,)])
    assert world.lens.decoded == [b"first"]
    assert world.lens.found == {"miss": 1, "hit": 1, "shared": 0}


def test_an_image_that_changed_is_a_new_one(world: World) -> None:
    """Its old version is worth nothing, however often it was seen."""
    world.seen("a")
    world.shelf.put("a", b"second one", (2,))
    assert world.picture("a").seen is None
    world.seen("a")
    found = world.picture("a").seen
    assert found is not None
    assert found.tolist() == [10]


def test_what_is_fresh_is_not_asked_for(world: World) -> None:
    """For as long as its source said, counted from before it was asked; an answer renews it."""
    world.shelf.fresh_s = 60.0
    world.seen("a")
    for now_s, asked in ((1059.9, 1), (1060.0, 2), (1119.9, 2), (1120.0, 3)):
        world.now_s = now_s
        assert world.picture("a").seen is not None
        assert len(world.shelf.asked) == asked
    assert world.lens.decoded == [b"first"]


def test_without_a_version_the_same_bytes_are_the_same_image(world: World) -> None:
    """It is fetched each time, and decoded once."""
    world.shelf.put("b", b"no version")
    world.seen("b")
    assert world.picture("b").seen is not None
    world.shelf.put("b", b"another")
    assert world.picture("b").seen is None
    assert (world.shelf.asked, world.lens.decoded) == (["b"] * 3, [b"no version", b"another"])


def test_posts_of_one_batch_with_one_reference_share_one_picture(world: World) -> None:
    """It is fetched and decoded once; so are failures, which each of them gets."""
    world.shelf.put("b", b"other")
    one, other, again, gone, gone_too = world.of("a", "b", "a", "none", "none")
    assert (world.shelf.asked, world.lens.decoded) == (["a", "b", "none"], [b"first", b"other"])
    assert isinstance(one, Picture)
    assert isinstance(again, Picture)
    assert isinstance(other, Picture)
    assert one.pixels is again.pixels is not None
    assert other.pixels is not one.pixels
    assert gone == gone_too == GONE
    assert world.lens.found == {"miss": 3, "shared": 2}


def test_a_picture_that_is_with_the_cnn_is_shared_by_the_posts_behind_it(world: World) -> None:
    """The very same array, so that what the CNN sees in it is for both; it owns its memory."""
    first, second = world.picture("a"), world.picture("a")
    assert first.pixels is second.pixels
    assert first.pixels is not None
    assert first.pixels.flags.owndata
    assert world.lens.decoded == [b"first"]
    assert world.lens.found == {"miss": 1, "shared": 1}


@pytest.mark.parametrize("image", [None, b"bad"], ids=["gone", "damaged"])
def test_a_failure_is_not_kept(world: World, image: bytes | None) -> None:
    """The next post may have better luck; what was known before is known still."""
    if image is not None:
        world.shelf.put("b", image, (1,))
    assert isinstance(world.of("b")[0], ImageProblem)
    world.shelf.put("b", b"whole", (1,))
    assert world.picture("b").pixels is not None
    assert world.shelf.known == [None, None]
    world.seen("a")
    del world.shelf.images["a"]
    assert world.of("a") == [GONE]
    world.shelf.put("a", b"first", (1,))
    assert world.picture("a").seen is not None


def test_what_is_always_the_same_is_asked_for_once(world: World) -> None:
    """As an image that stands in its reference."""
    world.shelf.fresh_s = math.inf
    world.seen("a")
    world.now_s = 1e9
    assert world.picture("a").seen is not None
    assert world.shelf.asked == ["a"]


def test_a_cache_that_is_off_asks_each_time_and_shares_within_a_batch() -> None:
    """No key, nothing known, nothing held."""
    world = World(bytes_max=0)
    world.shelf.fresh_s = math.inf
    world.shelf.put("a", b"first", (1,))
    for _ in range(2):
        one, other = world.of("a", "a")
        assert isinstance(one, Picture)
        assert isinstance(other, Picture)
        assert (one.key, one.seen) == (None, None)
        assert one.pixels is other.pixels
    assert (world.shelf.asked, world.shelf.known) == (["a", "a"], [None, None])
    assert world.cache.held_bytes == 0


def test_no_reference_asks_nobody(world: World) -> None:
    """As in a batch of texts."""
    assert world.of() == []
    assert (world.shelf.asked, world.lens.found) == ([], {})
