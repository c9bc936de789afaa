import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.answers import images
from tests.image_hosts import answering, loopback, request
from worker.images.configured import configured_source
from worker.images.file import reference_to
from worker.images.sources import BadRules, Unchanged, Unwatched, Versioned
from worker.settings import WorkerSettings


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    """Ends what was made."""
    with ExitStack() as stack:
        yield stack


def test_without_a_setting_only_what_a_post_carries_itself_is_had(closing: ExitStack) -> None:
    """And each refusal tells which setting would allow it."""
    configured = configured_source(WorkerSettings(), Unwatched(), closing)
    source = configured.images
    assert configured.worst_hosts() == []
    named = {
        "file:a.jpg": "image_root",
        "http://8.8.8.8/a.jpg": "image_allowed_hosts",
        "https://8.8.8.8/a.jpg": "TUWEN_",
        "S3://photos/a.jpg": "s3_buckets (TUWEN_S3_BUCKETS)",
        "gs://photos/a.jpg": "gs_buckets (TUWEN_GS_BUCKETS)",
        "az://photos/a.jpg": "az_containers (TUWEN_AZ_CONTAINERS)",
    }
    inline, *others = images(source.fetch(["data:;base64,eA==", *named]))
    assert inline == b"x"
    for problem, setting in zip(others, named.values(), strict=True):
        assert isinstance(problem, ImageProblem)
        assert (problem.reason, setting in problem.detail) == (Reason.IMAGE_SCHEME_OFF, True)


def test_each_scheme_is_had_where_its_setting_says(closing: ExitStack, tmp_path: Path) -> None:
    """A file of the root, and a host that is allowed; no other."""
    (tmp_path / "a.jpg").write_bytes(b"of a file")
    with loopback() as servers:
        port = servers.serve(answering(b"of a host"))
        settings = WorkerSettings(
            image_root=tmp_path,
            image_allowed_hosts="127.0.0.1",
            image_networks="127.0.0.0/8",
            image_ports=str(port),
        )
        source = configured_source(settings, Unwatched(), closing).images
        references = [
            reference_to("a.jpg"),
            f"http://127.0.0.1:{port}/a.jpg",
            f"http://127.0.0.2:{port}/a.jpg",
        ]
        fetched = images(source.fetch(references))
    assert fetched[:2] == [b"of a file", b"of a host"]
    assert isinstance(fetched[2], ImageProblem)
    assert fetched[2].reason == Reason.IMAGE_ADDRESS_FORBIDDEN
    assert len(servers.dialled) == 1


def test_hosts_and_buckets_are_fetched_by_one_thread_and_reported_together(
    closing: ExitStack,
) -> None:
    """A store at an address inside opens it to no host of the same address."""
    with loopback() as servers:
        store, host = servers.serve(answering(b"of a bucket")), servers.serve(answering(b"x"))
        settings = WorkerSettings(
            image_allow_any_public=True,
            image_ports=f"{store},{host}",
            s3_buckets="photos",
            s3_endpoint=f"http://127.0.0.1:{store}",
            az_containers="photos",
            az_endpoint=f"http://127.0.0.1:{host}",
            bucket_allow_http=True,
        )
        configured = configured_source(settings, Unwatched(), closing)
        references = ["s3://photos/a", "az://photos/a", f"http://127.0.0.1:{store}/photos/a"]
        found = images(configured.images.fetch(references))
        threads = [each for each in threading.enumerate() if each.name == "images"]
        reports = {report.host: report.asked for report in configured.worst_hosts()}
    assert found[:2] == [b"of a bucket", b"x"]
    assert isinstance(found[2], ImageProblem)
    assert found[2].reason == Reason.IMAGE_ADDRESS_FORBIDDEN
    assert (len(threads), len(servers.dialled)) == (1, 2)
    assert reports == {f"127.0.0.1:{store}": 1, f"127.0.0.1:{host}": 1}


def test_what_a_stranger_does_to_a_store_as_a_host_costs_no_bucket(closing: ExitStack) -> None:
    """A failure of the host that a post has named does not have the bucket left alone."""

    async def hanging_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (await request(reader)).startswith("/photos/"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    with loopback() as servers:
        port = servers.serve(hanging_up)
        settings = WorkerSettings(
            image_allowed_hosts="127.0.0.1",
            image_networks="127.0.0.0/8",
            image_ports=str(port),
            s3_buckets="photos",
            s3_endpoint=f"http://127.0.0.1:{port}",
            bucket_allow_http=True,
        )
        source = configured_source(settings, Unwatched(), closing).images
        references = ["http://127.0.0.1:{}/odd", "http://127.0.0.1:{}/photos/a", "s3://photos/a"]
        _, left, asked = (
            images(source.fetch([reference.format(port)]))[0] for reference in references
        )
    assert isinstance(left, ImageProblem)
    assert ("left alone" in left.detail, asked) == (True, b"x")


def test_closing_breaks_off_what_is_fetched_of_a_bucket(closing: ExitStack) -> None:
    """Who waits for it is told, and waits no longer than the thread is there."""
    asked = threading.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.Event().wait()

    with loopback() as servers, ThreadPoolExecutor() as waiting:
        settings = WorkerSettings(
            s3_buckets="photos",
            s3_endpoint=f"http://127.0.0.1:{servers.serve(silent)}",
            bucket_allow_http=True,
            image_first_answer_s=5,
        )
        source = configured_source(settings, Unwatched(), closing).images
        fetching = waiting.submit(source.fetch, ["s3://photos/a"])
        assert asked.wait(10)
        closing.close()
        with pytest.raises(CancelledError):
            fetching.result(10)


def test_an_object_that_is_known_is_asked_after_and_its_version_keeps_no_signature(
    closing: ExitStack,
) -> None:
    """The next request has another signature, and is for the same object."""
    asked: list[str] = []

    async def tagging(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
            known = 'If-None-Match: "1"' in asked[-1]
            status = "304 Not Modified" if known else "200 OK\r\nContent-Length: 1"
            writer.write(f'HTTP/1.1 {status}\r\nETag: "1"\r\n\r\n{"" if known else "x"}'.encode())

    with loopback() as servers:
        settings = WorkerSettings(
            az_containers="photos",
            az_endpoint=f"http://127.0.0.1:{servers.serve(tagging)}",
            az_sas_token=SecretStr("sp=r&sig=of-somebody"),
            bucket_allow_http=True,
        )
        source = configured_source(settings, Unwatched(), closing).images
        (first,) = source.fetch(["az://photos/a"])
        assert isinstance(first, Versioned)
        (second,) = source.fetch(["az://photos/a"], {"az://photos/a": first.version})
    assert (first.content, isinstance(second, Unchanged)) == (b"x", True)
    assert [head.split(" ")[1] for head in asked] == ["/photos/a?sp=r&sig=of-somebody"] * 2
    assert "sig" not in f"{first.version}"


def test_any_public_host_is_no_host_of_this_machine(closing: ExitStack) -> None:
    """Nothing of the network inside is opened by allowing all that is outside."""
    with loopback() as servers:
        port = servers.serve(answering(b"x"))
        settings = WorkerSettings(image_allow_any_public=True, image_ports=str(port))
        source = configured_source(settings, Unwatched(), closing).images
        (problem,) = source.fetch([f"http://127.0.0.1:{port}/"])
    assert isinstance(problem, ImageProblem)
    assert (problem.reason, servers.dialled) == (Reason.IMAGE_ADDRESS_FORBIDDEN, [])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (WorkerSettings(image_allowed_hosts="http://a.example"), "image_allowed_hosts"),
        (WorkerSettings(image_allowed_hosts="a.example", image_ports="80,70000"), "image_ports"),
        (WorkerSettings(image_allowed_hosts="a.example", image_ports="0"), "image_ports"),
        (
            WorkerSettings(image_allowed_hosts="a.example", image_networks="10.0.0.1/8"),
            "image_networks",
        ),
    ],
)
def test_rules_that_cannot_be_read_refuse_by_name(
    settings: WorkerSettings, named: str, closing: ExitStack
) -> None:
    """A typing error must not open or close more than was meant."""
    with pytest.raises(BadRules, match=named):
        configured_source(settings, Unwatched(), closing)


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [
        ("", []),
        ("image_allowed_hosts='a.example'", ["aiohttp", "yarl", "aiodns"]),
        ("s3_buckets='photos'", ["aiohttp", "yarl", "aiodns", "obstore"]),
    ],
)
def test_who_fetches_nothing_so_does_not_load_its_client(settings: str, loaded: list[str]) -> None:
    """It would cost each worker memory, and time at its start."""
    code = (
        "import sys; from contextlib import ExitStack; from worker.settings import WorkerSettings;"
        "from worker.images.configured import configured_source as made;"
        "from worker.images.sources import Unwatched;"
        "closing = ExitStack();"
        f"made(WorkerSettings({settings}), Unwatched(), closing);"
        "closing.close();"
        "print([name for name in ('aiohttp', 'yarl', 'aiodns', 'obstore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(loaded)
