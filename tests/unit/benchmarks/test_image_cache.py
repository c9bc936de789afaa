"""The benchmark of the image cache measures misses first, and hits then."""

from collections import Counter

from benchmarks import image_cache
from worker.images.cache import Found, ImageCache, Unwatched
from worker.images.pictures import Pictures


class Counting(Unwatched):
    """Counts what was found."""

    def __init__(self) -> None:
        self.found: Counter[Found] = Counter()

    def image_cache_asked(self, found: Found, posts: int) -> None:
        """Note it."""
        self.found[found] += posts


def test_the_second_time_all_images_are_found() -> None:
    """And the first time none."""
    counting, instant = Counting(), image_cache.Instant()
    cache = ImageCache(10**7, b"a bundle", counting)
    pictures = Pictures(instant, instant, cache)
    posts = image_cache.batches(0)[:2]
    for _ in range(2):
        assert image_cache.work(pictures, cache, posts) >= 0
    assert +counting.found == {"miss": 2 * image_cache.BATCH, "hit": 2 * image_cache.BATCH}


def test_a_cache_is_filled_until_it_drops_something() -> None:
    """Some hundred bytes an image."""
    _, images = image_cache.memory(image_cache.Instant(), 2 * 10**6)
    assert 500 < images < 5000
