"""All hostile addresses, by each way in, against real listeners on every address there is."""

import asyncio
import itertools
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

import pytest
import trustme
from yarl import URL

from features.images import ImageProblem
from tests.answers import images
from tests.hostile_addresses import HostileAddress, hostile_addresses
from tests.image_hosts import Loopback, loopback, request
from tests.own_network import in_own_network
from worker.images.address_guard import guard
from worker.images.guarded_connections import Network
from worker.images.http_fetch import HttpBounds
from worker.images.http_source import HttpSource
from worker.images.sources import Unwatched

IMAGE = b"an image"
BOUNDS = HttpBounds(timeout_s=20, bytes_max=1000, connections_max=64, connections_per_host_max=64)
BENIGN = {
    "example.com": "93.184.216.34",
    "img.example.com": "93.184.216.34",
    "xn--r8jz45g.jp": "8.8.4.4",
    "hop.example.com": "1.1.1.1",
}
OTHERS = ("8.8.8.8", "2606:2800:220:1:248:1893:25c8:1946")
PUBLIC = {*BENIGN.values(), *OTHERS, "216.58.214.206"}
"""All that may be dialled; the last is what some rows say in ways that only a name server may."""

# What a hostile name is answered with, where the address does not say it itself.
INNER = ("169.254.169.254", "10.0.0.1", "127.0.0.1", "::1", "fd00:ec2::254", "64:ff9b::a9fe:a9fe")


@dataclass
class World:
    """Listeners on all addresses, a name server, and a source that any public host is open to."""

    servers: Loopback
    rows: list[HostileAddress]
    answers: dict[str, Iterator[Sequence[str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Listen, on each port that an address names, too."""
        authority = trustme.CA()
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*BENIGN, *OTHERS).configure_cert(served)
        named = {int(p) for row in self.rows for p in re.findall(r":(\d{2,5})\b", row.url)}
        for port in sorted({80, 443, *(port for port in named if 0 < port < 2**16)}):
            for host in ("0.0.0.0", "::"):
                self.servers.serve(self.answer, host, port, served if port == 443 else None)
        trusted = ssl.create_default_context()
        authority.configure_trust(trusted)
        names = self.servers.names(self.addresses, ttl_s=0)
        rules = guard("", "80,443", any_public=True)
        network = Network([names.address], trusted)
        self.source = HttpSource(rules, BOUNDS, Unwatched(), "tuwen/test", network)

    def addresses(self, name: str) -> Sequence[str]:
        """Answer for a name: a hostile one leads inside."""
        if name in self.answers:
            return next(self.answers[name])
        return [BENIGN.get(name) or INNER[zlib.crc32(name.encode()) % len(INNER)]]

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Redirect to a row, or give an image."""
        path = await request(reader)
        found = re.fullmatch(r"/to/(\d+)", path)
        if found:
            location = self.rows[int(found[1])].url.encode("utf-8", "surrogatepass")
            writer.write(b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: " + location)
            writer.write(b"\r\nContent-Length: 0\r\n\r\n")
        else:
            head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(IMAGE)}\r\n\r\n"
            writer.write(head.encode() + IMAGE)
        await writer.drain()

    def fetch(self, references: Sequence[str]) -> list[bytes | ImageProblem]:
        """Fetch all."""
        return images(self.source.fetch(references))


def leads_to(row: HostileAddress) -> str:
    """The address that the most liberal of parsers would take a row for."""
    try:
        host = URL(row.url).raw_host or ""
    except ValueError:
        return INNER[0]
    if host in BENIGN:
        return BENIGN[host]
    with suppress(ValueError):
        return str(ip_address(host)).partition("%")[0]
    with suppress(OSError):
        return str(ip_address(socket.inet_aton(host)))
    return INNER[0]


def direct(world: World) -> list[bytes | ImageProblem]:
    """The post names it."""
    return world.fetch([row.url for row in world.rows])


def redirect(world: World) -> list[bytes | ImageProblem]:
    """A host that may be asked redirects to it."""
    return world.fetch([f"http://hop.example.com/to/{n}" for n in range(len(world.rows))])


def dns_answer(world: World) -> list[bytes | ImageProblem]:
    """A name has its address, or has it as well."""
    alone, among = [], []
    for n, row in enumerate(world.rows):
        bad = leads_to(row)
        world.answers[f"alone{n}.example.com"] = itertools.repeat([bad])
        world.answers[f"among{n}.example.com"] = itertools.repeat(["8.8.8.8", bad])
        alone.append(f"http://alone{n}.example.com/")
        among.append(f"http://among{n}.example.com/")
    return [
        one if isinstance(both, bytes) else both
        for one, both in zip(world.fetch(alone), world.fetch(among), strict=True)
    ]


def rebinding(world: World) -> list[bytes | ImageProblem]:
    """A name that led to a public host leads to it now: at the second look, and from then on."""
    names = [f"rebound{n}.example.com" for n in range(len(world.rows))]
    for name, row in zip(names, world.rows, strict=True):
        later = itertools.repeat([leads_to(row)])
        world.answers[name] = itertools.chain([OTHERS], later)
    first = world.fetch([f"http://{name}/" for name in names])
    assert set(first) == {IMAGE}
    return world.fetch([f"http://{name}/again" for name in names])


@pytest.mark.parametrize("way", [direct, redirect, dns_answer, rebinding])
def test_no_blocked_address_is_dialled_and_every_benign_one_is_reached(
    way: Callable[[World], list[bytes | ImageProblem]],
) -> None:
    """Whichever way a hostile address comes in, no connection is made to it."""
    rows = hostile_addresses()

    def work() -> tuple[list[bytes | ImageProblem], list[str]]:
        with loopback() as servers:
            world = World(servers, rows)
            try:
                return way(world), servers.dialled
            finally:
                world.source.close()

    images, dialled = in_own_network(work)
    assert {address for address in dialled if address not in PUBLIC} == set()
    reached = [
        row.url for row, image in zip(rows, images, strict=True) if row.allowed and image == IMAGE
    ]
    assert reached == [row.url for row in rows if row.allowed]
    assert len(rows) == 596
