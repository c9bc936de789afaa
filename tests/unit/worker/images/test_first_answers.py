"""A host that is not known to be well must begin to answer soon; one that is well has its time.

Deadlines of a fetch are an hour here: what is answered was not waited for.
"""

import asyncio
import time
from collections.abc import Callable

import pytest

from features.images import ImageProblem
from tests.image_hosts import answering, request
from tests.unit.worker.images.http_world import BYTES_MAX, IMAGE, World
from worker.images import host_health, http_fetch
from worker.images.http_fetch import HttpBounds
from worker.images.http_source import HttpSource
from worker.images.sources import Answer

HOUR_S = 3600.0
FIRST_ANSWER_S = 0.2
BOUNDS = HttpBounds(HOUR_S, BYTES_MAX, 16, 4, first_answer_s=FIRST_ANSWER_S)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(IMAGE) + IMAGE
WAIT_S = 20.0
NO_ANSWER, LEFT_ALONE = host_health.NO_ANSWER.detail, host_health.LEFT_ALONE.detail


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer, until the client hangs up."""
    await reader.read()


class Host:
    """Answers each request after the next of `delays_s`, the last of them again and again."""

    def __init__(self, *delays_s: float) -> None:
        self.delays_s = list(delays_s)
        self.asked: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            self.asked.append(await request(reader))
            await asyncio.sleep(self.delays_s.pop(0) if self.delays_s[1:] else self.delays_s[0])
            writer.write(ANSWER)


def until(answer: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline_s = time.monotonic() + WAIT_S
    while not answer():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def fetched(source: HttpSource, *references: str) -> list[Answer | str]:
    """Fetch images; of those that cannot be had, what is said of them."""
    answers = source.fetch(references)
    return [each.detail if isinstance(each, ImageProblem) else each for each in answers]


def test_a_host_that_never_answered_is_not_waited_for(world: World) -> None:
    """Neither by the batch that meets it first, nor by later ones."""
    bad, good = world.host("bad", silent), world.host("good", answering(IMAGE))
    source = world.source(BOUNDS)
    until(lambda: fetched(source, f"{good}/1") == [IMAGE])
    assert fetched(source, f"{good}/2", f"{bad}/2", f"{good}/3") == [IMAGE, NO_ANSWER, IMAGE]
    assert fetched(source, f"{bad}/4", f"{good}/4") == [LEFT_ALONE, IMAGE]


def test_a_host_behind_a_redirect_is_waited_for_no_longer(world: World) -> None:
    """However well the host is that names it."""
    bad = world.host("bad", silent)
    moved = f"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: {bad}/a\r\n\r\n".encode()

    async def moving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(moved if await request(reader) == "/moved" else ANSWER)

    good = world.host("good", moving)
    source = world.source(BOUNDS)
    until(lambda: fetched(source, f"{good}/here") == [IMAGE])
    assert fetched(source, f"{good}/moved") == [NO_ANSWER]
    assert fetched(source, f"{good}/moved") == [LEFT_ALONE]


def test_a_host_that_is_only_slow_is_found_out_behind_the_posts_and_has_its_time(
    world: World,
) -> None:
    """One post goes without; as soon as the host has answered, it is waited for."""
    host = Host(HOUR_S, 0.0, 3 * FIRST_ANSWER_S)
    slow = world.host("bad", host)
    source = world.source(BOUNDS)
    assert fetched(source, f"{slow}/1") == [NO_ANSWER]
    until(lambda: fetched(source, f"{slow}/2") == [IMAGE])
    assert fetched(source, f"{slow}/3") == [IMAGE]
    assert host.asked[:2] == ["/1", "/1"]


def test_a_host_that_was_well_and_fails_is_not_waited_for_again(world: World) -> None:
    """Its first failure may cost the whole time; the next ones do not."""
    host = Host(0.0)
    dying = world.host("bad", host)
    source = world.source(HttpBounds(1.0, BYTES_MAX, 16, 4, first_answer_s=FIRST_ANSWER_S))
    until(lambda: fetched(source, f"{dying}/0") == [IMAGE])
    host.delays_s = [HOUR_S]
    assert fetched(source, f"{dying}/1") == ["not there within 1 s"]
    assert fetched(source, f"{dying}/2") == [NO_ANSWER]


def test_no_more_hosts_are_looked_at_again_at_once_than_may_be(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stranger may name any number of them; and what is looked at ends with the source."""
    monkeypatch.setattr(http_fetch, "LOOKS_MAX", 2)
    hosts = [world.host("bad", silent) for _ in range(3)]
    source = world.source(BOUNDS)
    assert fetched(source, *(f"{host}/a" for host in hosts)) == [NO_ANSWER] * 3
    looks = list(source._http.looks.values())
    assert len(looks) == 2
    source.close()
    world.sources.clear()
    assert all(look.cancelled() for look in looks)
