"""Images in buckets: of an object store on loopback, and of stores there that do not behave."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

import msgspec
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.server import ThreadedMotoServer
from PIL import Image
from yarl import URL

from schemas.reasons import Reason
from schemas.verdict import Verdict
from tests.answers import images, reasons
from tests.image_hosts import Handler, loopback
from tests.tiny_bundle import LABELS, write_tiny_bundle
from tests.unit.worker.test_process import TOPICS, Running, until
from tuwen.command import run
from worker import logs
from worker.exit_codes import STOPPED
from worker.images.configured import configured_source
from worker.images.sources import Answer, Unchanged, Unwatched, Versioned
from worker.kafka.memory import MemoryCluster
from worker.messages import Outgoing
from worker.settings import WorkerSettings

KEY, SECRET = "AKIAREADER", "open-sesame-8261"
BYTES_MAX = 64 * 1024
ODD_KEY = "2026/图 片?acl#%2e%2e%2F+&~'()*!\\`=:@$,;.png"


def picture(colour: str) -> bytes:
    """A picture that speaks for a label."""
    file = BytesIO()
    Image.new("RGB", (8, 8), colour).save(file, "PNG")
    return file.getvalue()


def put(url: str, content: bytes = b"") -> None:
    """Make a bucket or an object."""
    headers = {"Content-Type": "application/octet-stream"}
    with urlopen(Request(url, content, headers, method="PUT")) as answer:
        assert answer.status == 200


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """A store of objects, in a bucket that is named to the worker and in one that is not."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        for bucket in ("photos", "private"):
            put(f"{endpoint}/{bucket}")
            put(f"{endpoint}/{bucket}/white.png", picture("white"))
        put(f"{endpoint}/photos/{quote(ODD_KEY)}", b"odd")
        put(f"{endpoint}/photos/large", b"x" * (BYTES_MAX + 1))
        yield endpoint
    finally:
        server.stop()


def settings(endpoint: str, **others: object) -> WorkerSettings:
    """Settings of a worker that reads one bucket of a store."""
    given = {
        "s3_buckets": "photos",
        "s3_endpoint": endpoint,
        "s3_access_key_id": KEY,
        "s3_secret_access_key": SECRET,
        "bucket_allow_http": True,
        "image_bytes_max": BYTES_MAX,
        "image_timeout_s": 5.0,
    }
    return WorkerSettings.model_validate(given | others)


def fetched(references: Sequence[str], read: WorkerSettings) -> Sequence[Answer]:
    """What a worker with these settings has of references."""
    with ExitStack() as closing:
        return configured_source(read, Unwatched(), closing).images.fetch(references)


def test_objects_are_had_and_what_is_wrong_with_others_is_told(store: str) -> None:
    """What is there, what is not, what is too large, and what another bucket holds."""
    references = [
        *("s3://photos/white.png", f"s3://photos/{ODD_KEY}", "s3://photos/nowhere.png"),
        *("s3://photos/large", "s3://private/white.png", "s3://photos/../private/white.png"),
        *("s3://photos/%2e%2e/private/white.png", "s3://photos"),
    ]
    assert reasons(fetched(references, settings(store))) == [
        *(picture("white"), b"odd", Reason.IMAGE_NOT_FOUND),
        *(Reason.IMAGE_TOO_LARGE, Reason.IMAGE_ADDRESS_FORBIDDEN, Reason.IMAGE_REFERENCE_INVALID),
        *(Reason.IMAGE_NOT_FOUND, Reason.IMAGE_REFERENCE_INVALID),
    ]


def test_an_object_that_is_not_public_is_refused_to_who_does_not_sign(store: str) -> None:
    """And it is told what to look at."""
    unsigned = settings(store, s3_access_key_id=None, s3_secret_access_key=None)
    (problem,) = images(fetched(["s3://photos/white.png"], unsigned))
    assert not isinstance(problem, bytes)
    assert problem.reason == Reason.IMAGE_UNREADABLE
    assert problem.detail.startswith("the store answered 403: may s3_access_key_id read it")


def test_an_object_that_is_known_is_not_sent_again_unless_it_is_another(store: str) -> None:
    """The store is asked by the object's tag, under a signature that says nothing of tags."""
    reference = "s3://photos/white.png"
    with ExitStack() as closing:
        source = configured_source(settings(store), Unwatched(), closing).images
        (first,) = source.fetch([reference])
        assert isinstance(first, Versioned)
        url, _ = first.version
        assert source.fetch([reference], {reference: first.version}) == [Unchanged(first.version)]
        assert source.fetch([reference], {reference: (url, '"another"')}) == [first]


def test_an_image_of_a_bucket_is_labelled_and_no_secret_is_shown(
    store: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither with a verdict nor with a dead letter, a page, a log or the settings."""
    caplog.set_level(0)
    monkeypatch.setattr(logs, "configure", lambda *_: None)
    write_tiny_bundle(tmp_path / "bundle")
    others = {"bundle": tmp_path / "bundle", "instance": "here", "on_image_failure": "dead-letter"}
    cluster = MemoryCluster(TOPICS)
    running = Running(settings(store, **others), cluster.connect)
    try:
        assert running.told.heard.wait(20)
        for name in ("white.png", "nowhere.png"):
            post = msgspec.json.encode({"id": name, "image": f"s3://photos/{name}"})
            cluster.produce(Outgoing("tuwen.posts", 0, None, post, (), 1000))
        until(lambda: bool(cluster.committed_records("tuwen.dead-letters")))
        until(lambda: bool(cluster.committed_records("tuwen.verdicts")))
        pages = [running.page(path) for path in ("/metrics", "/debug/images")]
    finally:
        assert running.stop() == STOPPED
    topics = ("tuwen.verdicts", "tuwen.dead-letters")
    (verdict,), (letter,) = (cluster.committed_records(topic) for topic in topics)
    assert msgspec.json.decode(verdict.value or b"", type=Verdict).label == LABELS[0]
    assert Reason.IMAGE_NOT_FOUND in f"{letter.headers}"
    assert 'tuwen_image_fetches_total{outcome="fetched",scheme="s3",slot="0"} 1' in pages[0][1]
    assert store.removeprefix("http://") in pages[1][1]
    monkeypatch.setenv("TUWEN_S3_SECRET_ACCESS_KEY", SECRET)
    assert run(["settings", "--s3-buckets=photos", "--s3-access-key-id", KEY]) == 0
    # The store's own log is its own.
    logged = [each.getMessage() for each in caplog.records if each.name != "werkzeug"]
    shown = f"{capsys.readouterr()}{logged}{pages}{verdict}{letter}"
    assert [word for word in (SECRET, "Signature", "X-Amz") if word in shown] == []


async def lying(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say ten bytes, and send without an end."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1000\r\n" + b"x" * 0x1000 + b"\r\n")
        await writer.drain()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def tired(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask for less, as S3 does."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 503 Slow Down\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n")


async def redirecting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Lead to where the credentials of a cloud are."""
    await reader.readuntil(b"\r\n\r\n")
    head = b"HTTP/1.1 307 Moved\r\nContent-Length: 0\r\nLocation: "
    writer.write(head + b"http://169.254.169.254/latest/meta-data\r\n\r\n")


@pytest.mark.parametrize(
    ("handler", "reason"),
    [
        (lying, Reason.IMAGE_TOO_LARGE),
        (silent, Reason.IMAGE_TIMEOUT),
        (tired, Reason.IMAGE_HOST_UNAVAILABLE),
        (redirecting, Reason.IMAGE_UNREADABLE),
    ],
)
def test_a_store_that_does_not_behave_costs_its_own_image_and_ends(
    handler: Handler, reason: Reason
) -> None:
    """By the deadline and the cap, whatever it says; a busy one is told from one that refuses."""
    with loopback() as servers:
        endpoint = f"http://127.0.0.1:{servers.serve(handler)}"
        began_s = time.monotonic()
        (answer,) = reasons(fetched(["s3://photos/a"], settings(endpoint, image_timeout_s=0.3)))
        assert time.monotonic() - began_s < 5
    assert (answer, len(servers.dialled)) == (reason, 1)


async def checking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Give an object to whom the secret is known, as Amazon's own code computes it."""
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        host = head.lower().partition("\r\nhost: ")[2].partition("\r\n")[0]
        url = URL(f"http://{host}{head.split(' ')[1]}", encoded=True)
        asked, _, signature = str(url).partition("&X-Amz-Signature=")
        request = AWSRequest("GET", asked, headers={"host": host})
        request.context["timestamp"] = url.query["X-Amz-Date"]
        signer = S3SigV4QueryAuth(Credentials(KEY, SECRET), "s3", "us-east-1", 900)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        known = signature == signer.signature(text, request)
        status, body = ("200 OK", "x") if known else ("403 Forbidden", f"{signature} {SECRET}")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


def test_a_wrong_secret_is_refused_and_told_and_a_right_one_signs_as_amazon_s_own_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """For plain keys and odd ones; what the store says to it is not repeated."""
    caplog.set_level(0)
    references = ["s3://photos/white.png", f"s3://photos/{ODD_KEY}"]
    with loopback() as servers:
        endpoint = f"http://127.0.0.1:{servers.serve(checking)}"
        assert images(fetched(references, settings(endpoint))) == [b"x", b"x"]
        wrong = settings(endpoint, s3_secret_access_key="open-sesame-0000")
        problems = images(fetched(references, wrong))
    assert [getattr(each, "reason", each) for each in problems] == [Reason.IMAGE_UNREADABLE] * 2
    assert "403: may s3_access_key_id read it" in str(problems[0])
    assert "open-sesame" not in f"{problems}{caplog.text}"
