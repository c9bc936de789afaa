"""A batch of large images is never in memory as a whole: it is fetched and decoded in portions."""

import asyncio
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.images import ImageProblem
from tests.image_hosts import request
from tests.unit.worker.images.http_world import World
from worker.images.cache import no_cache
from worker.images.file import FileSource
from worker.images.http_fetch import HttpBounds
from worker.images.pictures import Picture, Pictures
from worker.images.sources import Answer, ImageSource, Portion, Postponed

LARGE = 1 << 20
TOGETHER = 4 * LARGE
IMAGES = 32


class Lens:
    """A decoder that notes how much it is given at once; a picture is its image's first byte."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def decode(self, images: Sequence[bytes]) -> list[NDArray[np.uint8] | ImageProblem]:
        """Give a pixel of each."""
        self.sizes.append(sum(map(len, images)))
        return [np.array([[[image[0]] * 3]], np.uint8) for image in images]


def brought(source: ImageSource, lens: Lens, references: Sequence[str]) -> list[int]:
    """The first byte of each image, as it comes out of its picture."""
    pictures = Pictures(source, lens, no_cache()).of(references)
    pixels = [picture.pixels for picture in pictures if isinstance(picture, Picture)]
    return [int(each[0, 0, 0]) for each in pixels if each is not None]


def test_a_portion_takes_its_first_image_whatever_its_size_and_then_what_fits() -> None:
    """Else what is larger than the bound would never come."""
    portion = Portion(10)
    assert [portion.takes(size) for size in (20, 1)] == [True, False]
    portion = Portion(10)
    assert [portion.takes(size) for size in (6, 5, 4, 1)] == [True, False, True, False]


def test_large_files_are_read_and_decoded_in_portions(tmp_path: Path) -> None:
    """Each once, in the order of the posts; what was decoded is not held any longer."""
    for number in range(IMAGES):
        (tmp_path / str(number)).write_bytes(bytes([number]) * LARGE)
    source, lens = FileSource(tmp_path, LARGE, together_bytes_max=TOGETHER), Lens()
    tracemalloc.start()
    try:
        found = brought(source, lens, [f"file:{number}" for number in range(IMAGES)])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == list(range(IMAGES))
    assert lens.sizes == [TOGETHER] * (IMAGES * LARGE // TOGETHER)
    assert peak < 2 * TOGETHER


def test_large_images_of_hosts_are_fetched_and_decoded_in_portions(world: World) -> None:
    """Whether they tell their length or not; and no host is asked for all again each time."""
    asked = 0

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        number = int((await request(reader)).removeprefix("/"))
        asked += 1
        length = "Content-Length: 1000\r\n" if number % 2 else ""
        head = f"HTTP/1.1 200 OK\r\n{length}Connection: close\r\n\r\n"
        writer.write(head.encode() + bytes([number]) * 1000)
        await writer.drain()

    host = world.host("good", large)
    source, lens = world.source(HttpBounds(20.0, 2000, 8, 8, reading_bytes_max=4000)), Lens()
    found = brought(source, lens, [f"{host}/{number}" for number in range(IMAGES)])
    assert found == list(range(IMAGES))
    assert max(lens.sizes) <= 4000
    assert asked <= 3 * IMAGES


def test_who_says_that_much_will_come_and_lets_it_drip_postpones_nobody(world: World) -> None:
    """Else a batch would last a deadline for each few of such hosts."""

    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\nx")
        await reader.read()

    host = world.host("bad", dripping)
    source = world.source(HttpBounds(0.5, 2000, 8, 8, reading_bytes_max=4000))
    answers = source.fetch([f"{host}/{number}" for number in range(8)])
    assert [type(answer) for answer in answers] == [ImageProblem] * 8


class OneAtATime:
    """A source that postpones all but the first."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def fetch(self, references: Sequence[str], known: object = None) -> Sequence[Answer]:
        """Give the first."""
        self.asked.append(len(references))
        return [references[0].encode(), *[Postponed()] * (len(references) - 1)]


def test_no_more_is_asked_for_at_once_than_was_had_before() -> None:
    """Else each of many large images would be asked for as often as there are portions."""
    source = OneAtATime()
    assert brought(source, Lens(), list("abcd")) == list(b"abcd")
    assert source.asked == [4, 1, 1, 1]
