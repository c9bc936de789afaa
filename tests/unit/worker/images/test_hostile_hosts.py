"""Hosts that do not behave: each ends by the deadline, and harms nobody else."""

import asyncio
import ssl

import pytest
import trustme

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.answers import reasons
from tests.image_hosts import Handler, answering, request
from tests.unit.worker.images.http_world import BYTES_MAX, IMAGE, World
from worker.images import http_fetch
from worker.images.http_fetch import HttpBounds


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hang up at once."""


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say what is neither HTTP nor TLS."""
    writer.write(bytes(range(256)) * 4)
    await writer.drain()


def saying(head: str, body: bytes = b"", *, again: bytes = b"", pause_s: float = 0) -> Handler:
    """Answer with `head` and `body`, then with `again`, without an end."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request(reader)
        writer.write(head.replace("\n", "\r\n").encode() + body)
        await writer.drain()
        while again:
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return handler


OK = "HTTP/1.1 200 OK\n"
HOSTILE: dict[str, tuple[Handler, Reason]] = {
    "never answers": (silent, Reason.IMAGE_TIMEOUT),
    "one byte a while": (
        saying(OK + "Content-Length: 1000\n\n", again=b"x", pause_s=0.05),
        Reason.IMAGE_TIMEOUT,
    ),
    "headers, byte by byte": (saying(OK + "X: ", again=b"x", pause_s=0.05), Reason.IMAGE_TIMEOUT),
    "never gets to the answer": (
        saying("", again=b"HTTP/1.1 100 Continue\r\n\r\n", pause_s=0.01),
        Reason.IMAGE_TIMEOUT,
    ),
    "endless body": (saying(OK + "\n", again=bytes(65536)), Reason.IMAGE_TOO_LARGE),
    "endless chunks": (
        saying(OK + "Transfer-Encoding: chunked\n\n", again=b"10000\r\n" + bytes(65536) + b"\r\n"),
        Reason.IMAGE_TOO_LARGE,
    ),
    "endless length of a chunk": (
        saying(OK + "Transfer-Encoding: chunked\n\n", again=b"0" * 65536),
        Reason.IMAGE_TIMEOUT,
    ),
    "says it is huge": (
        saying(OK + "Content-Length: 99999999999\n\n", b"x"),
        Reason.IMAGE_TOO_LARGE,
    ),
    "ends before its length": (
        saying(OK + "Content-Length: 100\n\n", b"x"),
        Reason.IMAGE_HOST_UNAVAILABLE,
    ),
    "a length that is none": (
        saying(OK + "Content-Length: -5\n\n", b"x"),
        Reason.IMAGE_UNREADABLE,
    ),
    "a bomb of gzip": (
        saying(OK + "Content-Encoding: gzip\nContent-Length: 9\n\n", b"\x1f\x8b" + bytes(7)),
        Reason.IMAGE_UNREADABLE,
    ),
    "redirects to itself": (
        saying("HTTP/1.1 302 Found\nLocation: /again\nContent-Length: 0\n\n"),
        Reason.IMAGE_UNREADABLE,
    ),
    "one endless header": (saying(OK + "X: ", again=b"x" * 65536), Reason.IMAGE_UNREADABLE),
    "headers without end": (saying(OK, again=b"X: 1\r\n" * 1000), Reason.IMAGE_UNREADABLE),
    "garbage": (garbage, Reason.IMAGE_UNREADABLE),
    "hangs up": (closing, Reason.IMAGE_HOST_UNAVAILABLE),
}


@pytest.mark.parametrize("behaviour", HOSTILE)
def test_a_hostile_host_costs_its_own_image_alone(
    behaviour: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends by the deadline at the latest, and who is fetched beside it is not harmed."""
    monkeypatch.setattr(http_fetch, "SLOW_START_S", 1.0)
    handler, reason = HOSTILE[behaviour]
    bad, good = world.host("bad", handler), world.host("good", answering(IMAGE))
    source = world.source()
    references = [f"{good}/1", f"{bad}/2", f"{good}/3"]
    assert reasons(source.fetch(references)) == [IMAGE, reason, IMAGE]
    assert reasons(source.fetch([f"{good}/4"])) == [IMAGE]


def test_a_drip_is_ended_long_before_a_long_deadline(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would hold a connection for as long as it likes."""
    monkeypatch.setattr(http_fetch, "SLOW_START_S", 0.2)
    host = world.host("bad", HOSTILE["one byte a while"][0])
    (problem,) = world.source(HttpBounds(20.0, BYTES_MAX, 1, 1)).fetch([f"{host}/a"])
    assert isinstance(problem, ImageProblem)
    assert (problem.reason, "slower than" in problem.detail) == (Reason.IMAGE_TIMEOUT, True)


def test_what_is_no_tls_is_no_https(world: World) -> None:
    """Nor does a certificate count that no trusted authority gave."""
    plain = world.host("bad", garbage).replace("http:", "https:")
    theirs, ours = trustme.CA(), trustme.CA()
    contexts = []
    for authority in (theirs, ours):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("good.test", "other.test").configure_cert(context)
        contexts.append(context)
    strange = world.host("other", answering(IMAGE), contexts[0])
    trusted = world.host("good", answering(IMAGE), contexts[1])
    misnamed = trusted.replace("good", "dead")
    world.tls = ssl.create_default_context()
    ours.configure_trust(world.tls)
    answers = reasons(world.source().fetch([plain, strange, misnamed, trusted]))
    assert answers == [*[Reason.IMAGE_HOST_UNAVAILABLE] * 3, IMAGE]
