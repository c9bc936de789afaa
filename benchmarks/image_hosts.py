"""What it costs to fetch an image by http: `python -m benchmarks.image_hosts [--dead | --bucket]`.

Hosts on loopback answer after a while from another process; with `--dead` one in five never does,
with `--bucket` one of them is a store of S3, which is asked with signatures.
Nothing is decoded, and nothing goes through Kafka: that is `benchmarks.http_posts`.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from pydantic import SecretStr
from rich.console import Console

from worker.bucket_settings import BucketSettings
from worker.images.address_guard import guard
from worker.images.fetch_rules import FetchRules
from worker.images.http_fetch import HttpBounds
from worker.images.http_source import HttpSource
from worker.images.object_stores import bucket_rules
from worker.images.sources import Unwatched

IMAGES: Final = 10_000
BATCH: Final = 64
HOSTS: Final = 4
LATENCY_S: Final = 0.02
BODY: Final = b"\xff\xd8\xff" + bytes(8_000)
BOUNDS: Final = HttpBounds(
    timeout_s=5,
    bytes_max=2**20,
    connections_max=64,
    connections_per_host_max=16,
    first_answer_s=0.8,
)


class Host(asyncio.Protocol):
    """Answers each request after a while: with a picture of that name, or with so many zeros."""

    def __init__(self, pictures: Mapping[str, bytes]) -> None:
        self._pictures = pictures

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a segment for a request: on loopback it is one."""
        assert data.endswith(b"\r\n\r\n")
        name = data.split(b" ", 2)[1].decode().lstrip("/").partition("?")[0]
        asyncio.get_running_loop().call_later(LATENCY_S, self._answer, name)

    def _answer(self, name: str) -> None:
        body = self._pictures.get(name, BODY)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode() + body)


async def serve(folder: str = "") -> None:
    """Let the hosts and a silent one listen; prints their ports. `folder` has their pictures."""
    loop = asyncio.get_running_loop()
    pictures = {each.name: each.read_bytes() for each in Path(folder).iterdir()} if folder else {}
    kinds: list[Callable[[], asyncio.Protocol]]
    kinds = [*[lambda: Host(pictures)] * HOSTS, asyncio.Protocol]
    servers = [await loop.create_server(kind, "127.0.0.1", 0) for kind in kinds]
    sys.stdout.write(" ".join(str(s.sockets[0].getsockname()[1]) for s in servers) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


def of_hosts(asked: Sequence[int]) -> tuple[FetchRules, list[str]]:
    """Rules and references of images of the hosts on these ports, in turn."""
    rules = guard("127.0.0.1", ",".join(map(str, asked)), "127.0.0.0/8")
    return rules, [f"http://127.0.0.1:{asked[n % len(asked)]}/{n}" for n in range(IMAGES)]


def of_a_bucket(port: int) -> tuple[FetchRules, list[str]]:
    """Rules and references of objects of a store."""
    settings = BucketSettings(
        s3_buckets="photos",
        s3_endpoint=f"http://127.0.0.1:{port}",
        s3_access_key_id="reader",
        s3_secret_access_key=SecretStr("of-nobody"),
        bucket_allow_http=True,
    )
    return bucket_rules(settings)["s3"], [f"s3://photos/{n}" for n in range(IMAGES)]


def fetch_all(rules: FetchRules, references: Sequence[str]) -> str:
    """Fetch all, batch by batch, and say what it cost."""
    source = HttpSource(rules, BOUNDS, Unwatched(), "tuwen/benchmark")
    waits_s, fetched = [], 0
    cpu_s = time.process_time()
    for first in range(0, IMAGES, BATCH):
        began_s = time.perf_counter()
        images = source.fetch(references[first : first + BATCH])
        waits_s.append(time.perf_counter() - began_s)
        fetched += sum(isinstance(image, bytes) for image in images)
    cpu_us = (time.process_time() - cpu_s) / IMAGES * 1e6
    source.close()
    return (
        f"{fetched} of {IMAGES} fetched, {cpu_us:.0f} µs CPU a post; the first batch took "
        f"{waits_s[0]:.2f} s, the slowest later one {max(waits_s[1:]):.2f} s"
    )


@contextmanager
def hosts(*folder: str) -> Iterator[list[int]]:
    """Run the hosts in a process of their own; gives their ports, the silent one's last."""
    command = [sys.executable, "-m", "benchmarks.image_hosts", "serve", *folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.terminate()


def main(words: Sequence[str]) -> int:
    """Start the hosts, fetch, and tell."""
    if words[:1] == ["serve"]:
        asyncio.run(serve(*words[1:]))
    with hosts() as ports:
        hosts_asked = ports if "--dead" in words else ports[:HOSTS]
        said = fetch_all(*(of_a_bucket(ports[0]) if "--bucket" in words else of_hosts(hosts_asked)))
    Console(highlight=False, soft_wrap=True).print(said, markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
