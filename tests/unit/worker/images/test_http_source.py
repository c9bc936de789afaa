"""Fetching by http(s), from hosts on loopback."""

import asyncio
import math
import threading
from datetime import UTC, datetime

import pytest

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.answers import reasons
from tests.image_hosts import answering, request, unused_port
from tests.unit.worker.images.http_world import BOUNDS, BYTES_MAX, IMAGE, World
from worker.images import host_health, http_source
from worker.images.http_fetch import HttpBounds, HttpFetch, retry_after_s


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", Reason.IMAGE_NOT_FOUND),
        ("410 Gone", Reason.IMAGE_NOT_FOUND),
        ("403 Forbidden", Reason.IMAGE_UNREADABLE),
        ("206 Partial Content", Reason.IMAGE_UNREADABLE),
        ("304 Not Modified", Reason.IMAGE_UNREADABLE),
        ("302 Found", Reason.IMAGE_UNREADABLE),
        ("500 Internal Server Error", Reason.IMAGE_HOST_UNAVAILABLE),
        ("429 Too Many Requests", Reason.IMAGE_HOST_UNAVAILABLE),
    ],
)
def test_an_answer_without_an_image_says_why(world: World, status: str, reason: Reason) -> None:
    """What is gone, what is forbidden, and what may come later are three things."""
    host = world.host("good", answering(b"", status=status))
    assert reasons(world.source().fetch([f"{host}/a.jpg"])) == [reason]


def test_a_host_that_cannot_be_reached_is_unavailable_and_one_that_is_not_is_not_found(
    world: World,
) -> None:
    """Nobody listens; or there is no such name."""
    port = unused_port()
    world.ports.append(port)
    references = [f"http://dead.test:{port}/", f"http://nowhere.test:{port}/"]
    assert reasons(world.source().fetch(references)) == [
        Reason.IMAGE_HOST_UNAVAILABLE,
        Reason.IMAGE_NOT_FOUND,
    ]


def test_a_redirect_is_followed_to_where_it_may_lead(world: World) -> None:
    """To another host, and no further than the guard lets it, by address and by name."""
    good = world.host("good", answering(IMAGE))
    strange = good.replace("good.test", "elsewhere.example")
    world.names.answer = lambda _: ["127.0.0.1"]
    hosts = [
        world.host("other", answering(b"", f"Location: {location}", status="302 Found"))
        for location in (f"{good}/b", "http://169.254.169.254/latest/meta-data", f"{strange}/b")
    ]
    assert reasons(world.source().fetch([f"{host}/a" for host in hosts])) == [
        IMAGE,
        Reason.IMAGE_ADDRESS_FORBIDDEN,
        Reason.IMAGE_ADDRESS_FORBIDDEN,
    ]


def test_no_more_than_three_redirects_are_followed(world: World) -> None:
    """The fourth is one too many."""

    async def counting_down(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            left = int((await request(reader)).removeprefix("/"))
            status, location = (
                ("302 Found", f"Location: /{left - 1}") if left else ("200 OK", "X: 1")
            )
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 1\r\n{location}\r\n\r\nx".encode())

    host = world.host("good", counting_down)
    assert reasons(world.source().fetch([f"{host}/3", f"{host}/4"])) == [
        b"x",
        Reason.IMAGE_UNREADABLE,
    ]


def test_a_redirect_to_a_host_that_is_left_alone_is_not_followed(world: World) -> None:
    """It costs no more posts than one that names the host itself."""
    dead = f"http://dead.test:{unused_port()}/a"
    world.ports.append(int(dead.rpartition(":")[2].removesuffix("/a")))
    host = world.host("good", answering(b"", f"Location: {dead}", status="302 Found"))
    source = world.source()
    (first,), (second,) = (source.fetch([f"{host}/{n}"]) for n in range(2))
    assert isinstance(first, ImageProblem)
    assert isinstance(second, ImageProblem)
    assert ("connection failed" in first.detail, "left alone" in second.detail) == (True, True)


def test_who_waits_for_a_turn_too_long_is_told_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage ends, however slow the hosts are that answer."""
    monkeypatch.setattr(http_source, "TURN_S", 0.2)
    host = world.host("bad", silent)
    images = world.source(HttpBounds(2.0, BYTES_MAX, 1, 1)).fetch([f"{host}/a", f"{host}/b"])
    details = [image.detail for image in images if isinstance(image, ImageProblem)]
    assert details == ["not there within 2 s", "the host was busy with others for 0.2 s"]


def test_what_is_said_of_the_content_is_not_believed(world: World) -> None:
    """Neither its type nor what its file is called."""
    host = world.host("good", answering(IMAGE, "Content-Type: text/html"))
    assert world.source().fetch([f"{host}/a.html"]) == [IMAGE]


def test_a_request_tells_nothing_but_what_it_wants(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cookie comes back, no proxy and no password is taken from the environment."""
    heads: list[str] = []

    async def listening(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nSet-Cookie: a=b\r\n\r\nx")

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    host = world.host("good", listening)
    source = world.source()
    assert [source.fetch([f"{host}/{path}#part"]) for path in "ab"] == [[b"x"], [b"x"]]
    names = [{line.partition(":")[0].lower() for line in head.splitlines()[1:-1]} for head in heads]
    assert names == [{"host", "accept", "accept-encoding", "user-agent"}] * 2
    assert heads[1].startswith("GET /b HTTP/1.1\r\n")
    assert "Accept-Encoding: identity\r\n" in heads[0]


def test_connections_are_used_again(world: World) -> None:
    """Twelve images come over no more connections than may be open at once."""
    host = world.host("good", answering(IMAGE))
    source = world.source()
    images = [source.fetch([f"{host}/{batch}-{n}" for n in range(4)]) for batch in range(3)]
    assert images == [[IMAGE] * 4] * 3
    assert len(world.servers.dialled) <= BOUNDS.connections_per_host_max


def test_two_posts_with_one_reference_fetch_once(world: World) -> None:
    """Also when it is written otherwise."""
    paths: list[str] = []

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        paths.append(await request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    host = world.host("good", counting)
    references = [f"{host}/a", f"{host.replace('good.test', 'GOOD.test.')}/a", f"{host}/a"]
    assert world.source().fetch(references) == [b"x"] * 3
    assert paths == ["/a"]


def test_no_more_of_a_host_is_asked_at_once_than_may_be(world: World) -> None:
    """Four of one host, and the others wait for their turn."""
    at_once, most, lock = 0, 0, threading.Lock()

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal at_once, most
        while True:
            await request(reader)
            with lock:
                at_once += 1
                most = max(most, at_once)
            await asyncio.sleep(0.02)
            with lock:
                at_once -= 1
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    host = world.host("good", counting)
    assert world.source().fetch([f"{host}/{n}" for n in range(20)]) == [b"x"] * 20
    assert most == BOUNDS.connections_per_host_max


@pytest.mark.parametrize(
    ("length", "at_once"),
    [("Content-Length: 2000", 2), ("X: no length", 2), ("Content-Length: 1", 4)],
)
def test_bodies_that_may_be_large_are_read_few_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch, length: str, at_once: int
) -> None:
    """What all hosts together can make a worker hold is bounded, whatever they send."""
    reading = most = 0

    async def content(fetch: HttpFetch, response: object) -> bytes:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        await asyncio.sleep(0.02)
        reading -= 1
        return b"x"

    async def beginning(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(f"HTTP/1.1 200 OK\r\n{length}\r\n\r\n".encode())
        await asyncio.Event().wait()

    monkeypatch.setattr(HttpFetch, "_content", content)
    host = world.host("good", beginning)
    source = world.source(HttpBounds(20.0, 2000, 4, 4, reading_bytes_max=4000))
    assert source.fetch([f"{host}/{n}" for n in range(12)]) == [b"x"] * 12
    assert most == at_once


def test_a_body_that_comes_with_its_head_is_counted_as_well(world: World) -> None:
    """Also when it did not say how long it is."""

    async def at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            size = int((await request(reader)).removeprefix("/"))
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size
            writer.write(head + b"x" * size + b"\r\n0\r\n\r\n")

    host = world.host("good", at_once)
    source = world.source(HttpBounds(20.0, 10, 4, 4))
    answers = reasons(source.fetch([f"{host}/10", f"{host}/11"]))
    assert answers == [b"x" * 10, Reason.IMAGE_TOO_LARGE]


def test_a_dead_host_is_asked_no_more_than_may_be_at_once(world: World) -> None:
    """Of forty posts four wait for the deadline; the others are told at once, as are later ones."""
    bad, good = world.host("bad", silent), world.host("good", answering(IMAGE))
    source = world.source()
    first = reasons(source.fetch([f"{bad}/{n}" for n in range(40)]))
    assert (first.count(Reason.IMAGE_TIMEOUT), first.count(Reason.IMAGE_HOST_UNAVAILABLE)) == (
        4,
        36,
    )
    assert reasons(source.fetch([f"{bad}/a", f"{good}/a"])) == [
        Reason.IMAGE_HOST_UNAVAILABLE,
        IMAGE,
    ]
    assert len(world.servers.dialled) == len(world.watching.took) == 4 + 1
    assert world.watching.left_alone == 1


def test_a_host_that_is_back_is_fetched_from_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A while after it failed it is asked once more."""
    monkeypatch.setattr(host_health, "LEFT_ALONE_S", 0.0)
    well = False

    async def recovering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while well:
            await request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    host = world.host("bad", recovering)
    source = world.source()
    assert reasons(source.fetch([f"{host}/a"])) == [Reason.IMAGE_HOST_UNAVAILABLE]
    well = True
    assert source.fetch([f"{host}/a"]) == [b"x"]
    assert world.watching.left_alone == 0


def test_a_host_that_says_when_to_come_back_is_left_alone_until_then(world: World) -> None:
    """Even one that has just given an image is not asked again."""
    asked: list[str] = []

    async def tiring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append(await request(reader))
            status = "200 OK" if len(asked) == 1 else "503 Service Unavailable\r\nRetry-After: 30"
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 1\r\n\r\nx".encode())

    host = world.host("good", tiring)
    source = world.source()
    answers = [reasons(source.fetch([f"{host}/{n}"])) for n in range(4)]
    assert answers == [[b"x"], *[[Reason.IMAGE_HOST_UNAVAILABLE]] * 3]
    assert asked == ["/0", "/1"]


def test_an_answer_says_when_to_ask_again_may_help(world: World) -> None:
    """Soon, where the host is well otherwise; when it says so; and not while it is left alone."""
    answers = ["500 Oh", "503 Busy", "200 OK", "500 Oh", "429 Slow\r\nRetry-After: 7"]

    async def tiring(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answers:
            await request(reader)
            writer.write(f"HTTP/1.1 {answers.pop(0)}\r\nContent-Length: 1\r\n\r\nx".encode())

    host, dead = world.host("good", tiring), world.host("bad", silent)
    source = world.source()
    references = [*(f"{host}/{n}" for n in range(6)), f"{dead}/a"]
    found = [source.fetch([reference])[0] for reference in references]
    waits = [each.again_s for each in found if isinstance(each, ImageProblem)]
    assert waits == [0, 0, 0, pytest.approx(7, abs=1), pytest.approx(7, abs=1), math.inf]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30.0),
        ("0", 0.0),
        ("Thu, 26 Nov 2026 12:00:10 GMT", 10.0),
        ("Thu, 26 Nov 2026 11:00:00 GMT", 0.0),
        ("Thu, 26 Nov 2026 12:00:10", None),
        ("soon", None),
        ("-1", None),
        ("³", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """As RFC 9110 has it; what is neither says nothing."""
    assert retry_after_s(value, datetime(2026, 11, 26, 12, tzinfo=UTC)) == seconds


def test_a_reference_that_the_guard_refuses_asks_nobody(world: World) -> None:
    """Not even a name server."""
    references = ["http://elsewhere.example/", "http://good.test:22/", "http://0x7f.1/"]
    assert reasons(world.source().fetch(references)) == [
        Reason.IMAGE_ADDRESS_FORBIDDEN,
        Reason.IMAGE_ADDRESS_FORBIDDEN,
        Reason.IMAGE_REFERENCE_INVALID,
    ]
    assert (world.names.asked, world.servers.dialled) == ([], [])


def test_it_is_told_how_fetches_went(world: World) -> None:
    """Those that were made, by scheme."""
    host = world.host("good", answering(IMAGE))
    world.source().fetch([f"{host}/a", f"{host}/b", "http://elsewhere.example/"])
    assert world.watching.took == ["http", "http"]


def test_it_tells_which_hosts_did_worst(world: World) -> None:
    """Who failed comes first, with what it cost; who was refused is no host."""
    good, port = world.host("good", answering(IMAGE)), unused_port()
    world.ports.append(port)
    source = world.source()
    source.fetch(
        [f"{good}/a", f"{good}/b", f"http://dead.test:{port}/", "http://elsewhere.example/"]
    )
    dead, well = source.worst_hosts()
    assert (dead.host, dead.asked, dead.failed, dead.left_alone) == (
        f"dead.test:{port}",
        1,
        1,
        True,
    )
    assert (well.host, well.asked, well.failed, well.left_alone) == (
        good.removeprefix("http://"),
        2,
        0,
        False,
    )
    assert well.took_s > 0


def test_closing_breaks_off_what_is_fetched(world: World) -> None:
    """A worker that ends does not wait for hosts."""
    asked = threading.Event()

    async def waiting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    host = world.host("bad", waiting)
    source = world.source(HttpBounds(3600, BYTES_MAX, 4, 4))
    ended: list[BaseException] = []

    def fetching() -> None:
        try:
            source.fetch([f"{host}/a"])
        except BaseException as error:  # noqa: BLE001 - whatever ends it.
            ended.append(error)

    thread = threading.Thread(target=fetching)
    thread.start()
    assert asked.wait(10)
    source.close()
    world.sources.clear()
    thread.join(10)
    assert [type(error).__name__ for error in ended] == ["CancelledError"]
