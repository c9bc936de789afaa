import asyncio
from collections.abc import Mapping
from dataclasses import replace

import pytest
from multidict import CIMultiDict
from yarl import URL

from schemas.reasons import Reason
from tests.answers import reasons
from tests.image_hosts import answering
from tests.unit.worker.images.http_world import BOUNDS, IMAGE, World
from worker.images.http_freshness import condition, fresh_s, version_of
from worker.images.http_source import HttpSource
from worker.images.sources import Answer, Unchanged, Version, Versioned

HERE, THERE = URL("http://good.test/a.jpg"), URL("http://other.test/a.jpg")
DATE = "Thu, 26 Nov 2026 06:00:00 GMT"
MINUTES_BEFORE = "Thu, 26 Nov 2026 05:55:00 GMT"
SECONDS_BEFORE = "Thu, 26 Nov 2026 05:59:01 GMT"


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"ETag": '"abc"'}, '"abc"'),
        ({"etag": 'W/"abc"', "Last-Modified": MINUTES_BEFORE, "Date": DATE}, 'W/"abc"'),
        ({"Last-Modified": MINUTES_BEFORE, "Date": DATE}, MINUTES_BEFORE),
        ({"Last-Modified": SECONDS_BEFORE, "Date": DATE}, None),
        ({"Last-Modified": MINUTES_BEFORE}, None),
        ({"Last-Modified": "long ago", "Date": DATE}, None),
        ({"Last-Modified": MINUTES_BEFORE.replace("GMT", "-0000"), "Date": DATE}, None),
        ({"ETag": "abc"}, None),
        ({"ETag": '"a b"'}, None),
        ({"ETag": '"猫"'}, None),
        ({"ETag": '"a"b"'}, None),
        ({"ETag": f'"{"a" * 201}"'}, None),
        ({"ETag": '"a"\r\nHost: elsewhere"'}, None),
        ({}, None),
    ],
)
def test_a_version_is_a_tag_or_a_date_that_tells(
    headers: Mapping[str, str], version: str | None
) -> None:
    """A date counts seconds: of an image of the last minute it might be the one before, too."""
    wanted = None if version is None else (str(HERE), version)
    assert version_of(HERE, CIMultiDict(headers)) == wanted


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ((str(HERE), '"abc"'), {"If-None-Match": '"abc"'}),
        ((str(HERE), 'W/"abc"'), {"If-None-Match": 'W/"abc"'}),
        ((str(HERE), DATE), {"If-Modified-Since": DATE}),
        ((str(THERE), '"abc"'), {}),
        (None, {}),
        ((1, 2, 3), {}),
    ],
)
def test_a_condition_is_put_to_the_url_that_gave_the_version(
    known: Version | None, asked: Mapping[str, str]
) -> None:
    """Where a redirect leads elsewhere the same tag may be another image's."""
    assert condition(HERE, known) == asked


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("Cache-Control", "max-age=60")], 60.0),
        ([("cache-control", "public, Max-Age=60, immutable")], 60.0),
        ([("Cache-Control", 'max-age="60"')], 60.0),
        ([("Cache-Control", "max-age=60"), ("Age", "20")], 40.0),
        ([("Cache-Control", "max-age=60"), ("Age", "80")], 0.0),
        ([("Cache-Control", "max-age=1000000")], 3600.0),
        ([("Cache-Control", "max-age=60, no-cache")], 0.0),
        ([("Cache-Control", "max-age=60"), ("Cache-Control", "no-store")], 0.0),
        ([("Cache-Control", "max-age=60"), ("Vary", "*")], 0.0),
        ([("Cache-Control", "max-age=60"), ("Vary", "Accept")], 60.0),
        ([("Cache-Control", "max-age=-60")], 0.0),
        ([("Cache-Control", "max-age=1e9")], 0.0),
        ([("Cache-Control", "s-maxage=60")], 0.0),
        ([("Expires", DATE), ("Date", MINUTES_BEFORE)], 0.0),
        ([], 0.0),
    ],
)
def test_only_max_age_lets_nobody_ask(headers: list[tuple[str, str]], seconds: float) -> None:
    """What a proxy on the way took of it is over; a bound stands above it."""
    assert fresh_s(CIMultiDict(headers), 3600.0) == seconds


def ask(source: HttpSource, reference: str, known: Answer | None = None) -> Answer:
    """Ask for an image, with the version of an answer before."""
    versions = {reference: known.version} if isinstance(known, Versioned | Unchanged) else {}
    (answer,) = source.fetch([reference], versions)
    return answer


def test_an_image_that_is_unchanged_is_not_sent_again(world: World) -> None:
    """The host says so, and for how long; who knew nothing is not told so."""
    heads: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            if b'If-None-Match: "one"' in heads[-1]:
                writer.write(b"HTTP/1.1 304 Not Modified\r\nCache-Control: max-age=90\r\n\r\n")
            else:
                writer.write(
                    b'HTTP/1.1 200 OK\r\nETag: "one"\r\nCache-Control: max-age=30\r\n'
                    b"Content-Length: %d\r\n\r\n%b" % (len(IMAGE), IMAGE)
                )
            await writer.drain()

    reference = f"{world.host('good', handler)}/a.jpg"
    source = world.source(replace(BOUNDS, fresh_s_max=60.0))
    first = ask(source, reference)
    assert first == Versioned(IMAGE, (reference, '"one"'), 30.0)
    assert ask(source, reference, first) == Unchanged((reference, '"one"'), 60.0)
    assert ask(source, reference) == first
    assert [b"If-None-Match" in head for head in heads] == [False, True, False]
    assert source.worst_hosts()[0].failed == 0


def test_what_a_redirect_led_to_is_asked_for_each_time(world: World) -> None:
    """The condition is for where the version came from; where it leads tomorrow, who knows."""
    headers = ('ETag: "one"', "Cache-Control: max-age=30")
    good = world.host("good", answering(IMAGE, *headers))
    other = world.host("other", answering(b"", f"Location: {good}/a.jpg", status="302 Found"))
    source = world.source(replace(BOUNDS, fresh_s_max=60.0))
    answer = ask(source, f"{other}/b.jpg")
    assert answer == Versioned(IMAGE, (f"{good}/a.jpg", '"one"'), 0.0)


def test_a_host_that_says_unchanged_unasked_has_no_image(world: World) -> None:
    """Whoever knows nothing could make nothing of it."""
    host = world.host("good", answering(b"", status="304 Not Modified"))
    source = world.source()
    elsewhere = Versioned(b"", ("http://other.test/", '"one"'))
    assert reasons([ask(source, f"{host}/a", elsewhere)]) == [Reason.IMAGE_UNREADABLE]


def test_without_tag_and_date_an_image_has_no_version(world: World) -> None:
    """Its bytes alone leave, however long it is said to stay as it is."""
    host = world.host("good", answering(IMAGE, "Cache-Control: max-age=30"))
    assert ask(world.source(), f"{host}/a") == IMAGE
