"""Connections to image hosts: none is made to an address that the guard does not let pass.

Twice: a name is refused when any of its answers is bad, and whatever address a socket is made for
is judged once more, which no answer that changes in between can pass.
"""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from worker.images.fetch_rules import FetchRules

# One lost packet of a handshake is sent again after a second.
CONNECT_S: Final = 2.0
DNS_TRY_S: Final = 1.0
DNS_TRIES: Final = 3
KEEP_ALIVE_S: Final = 30.0


class ForbiddenAddress(OSError):
    """What was about to be dialled may not be."""


@dataclass(frozen=True, slots=True)
class Network:
    """What the machine's network is to a source: the system's own where nothing is said.

    `nameservers` are `address:port`; `tls` knows the authorities that are trusted.
    """

    nameservers: Sequence[str] = ()
    tls: ssl.SSLContext | None = None


class GuardedResolver(AbstractResolver):
    """Resolves names by c-ares, which keeps answers for their TTL and no longer."""

    def __init__(self, guard: FetchRules, nameservers: Sequence[str] = ()) -> None:
        self._guard = guard
        self._names = aiohttp.AsyncResolver(
            nameservers=list(nameservers), timeout=DNS_TRY_S, tries=DNS_TRIES
        )

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give all addresses of a name, or none of them.

        Raises ForbiddenAddress, or OSError when there are none.
        """
        # With the dot a stranger's name is what it says, and never one of a search domain.
        asked = host if self._guard.names(host) else f"{host}."
        answers = await self._names.resolve(asked, port, family)
        if not all(self._guard.may_dial(answer["host"], port) for answer in answers):
            raise ForbiddenAddress("an address of the host is not public")
        return answers

    async def close(self) -> None:
        """Give the sockets back."""
        await self._names.close()


def connector(
    guard: FetchRules, network: Network, connections_max: int, per_host_max: int
) -> aiohttp.TCPConnector:
    """Make connections that `guard` lets pass; to be called in the thread of the loop."""

    def dialling(info: AddrInfoType) -> socket.socket:
        """Make a socket for exactly this address, which is the next to be dialled."""
        family, kind, protocol, _, address = info
        if not guard.may_dial(str(address[0]), int(address[1])):
            raise ForbiddenAddress("the address is not public")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(
        resolver=GuardedResolver(guard, network.nameservers),
        socket_factory=dialling,
        # Its own cache would keep answers for longer than they hold.
        use_dns_cache=False,
        limit=connections_max,
        limit_per_host=per_host_max,
        keepalive_timeout=KEEP_ALIVE_S,
        ssl=network.tls or True,
    )
