"""Image hosts and a name server on loopback, in a thread of their own, for as long as a test."""

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any, TypeVar, cast

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Answer = Callable[[str], Sequence[str]]
"""The addresses of a name, in one answer; none where there is no such name."""

T = TypeVar("T")
_A, _AAAA = 1, 28
_NO_SUCH_NAME = 0x8183


class Loopback:
    """Servers that a test makes, on addresses of its choice. `dialled` tells which were reached."""

    def __init__(self) -> None:
        self.dialled: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._open: list[asyncio.Server | asyncio.DatagramTransport] = []
        # Of a task that waits for what nobody will bring asyncio holds no reference of its own.
        self._talks: set[asyncio.Task[Any] | None] = set()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def serve(
        self,
        handler: Handler,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Let `handler` talk to whoever connects; gives the port."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.dialled.append(writer.get_extra_info("sockname")[0])
            talk = asyncio.current_task()
            self._talks.add(talk)
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await handler(reader, writer)
            writer.close()
            self._talks.discard(talk)

        server = self._run(asyncio.start_server(connected, host, port, ssl=tls))
        self._open.append(server)
        return int(server.sockets[0].getsockname()[1])

    def names(self, answer: Answer, ttl_s: int = 60) -> "NameServer":
        """Answer for all names."""
        server = NameServer(answer, ttl_s)
        bound = self._loop.create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
        self._run(bound)
        self._open.append(server.transport)
        server.address = "127.0.0.1:{}".format(server.transport.get_extra_info("sockname")[1])
        return server

    def close(self) -> None:
        """Hang up on everybody."""
        self._run(self._hung_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _hung_up(self) -> None:
        for each in self._open:
            each.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


class NameServer(asyncio.DatagramProtocol):
    """A DNS server of IPv4 and IPv6 addresses (RFC 1035). `asked` are the names it was asked."""

    def __init__(self, answer: Answer, ttl_s: int) -> None:
        self.address = ""
        self.asked: list[str] = []
        self.answer = answer
        self.ttl_s = ttl_s
        self._told: dict[str, Sequence[str]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer through."""
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii"))
            at += data[at] + 1
        (kind,) = struct.unpack_from("!H", data, at + 1)
        name = ".".join(labels).lower()
        # Both questions of one look-up get one answer, whichever comes first.
        if kind == _A:
            self.asked.append(name)
        told = self._told.pop(name, None)
        if told is None:
            told = self._told[name] = self.answer(name)
        wanted = {_A: 4, _AAAA: 16}.get(kind)
        packed = [p for p in (ip_address(each).packed for each in told) if len(p) == wanted]
        flags = 0x8180 if told else _NO_SUCH_NAME
        head = data[:2] + struct.pack("!5H", flags, 1, len(packed), 0, 0)
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, self.ttl_s, len(p)) + p for p in packed
        )
        self.transport.sendto(head + data[12 : at + 5] + records, addr)


@contextmanager
def loopback() -> Iterator[Loopback]:
    """Servers that end with the test."""
    running = Loopback()
    try:
        yield running
    finally:
        running.close()


def fixed(answers: Mapping[str, Sequence[str]]) -> Answer:
    """Always the same addresses."""
    return lambda name: answers.get(name, ())


def unused_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def request(reader: asyncio.StreamReader) -> str:
    """Read a request; gives its path."""
    head = await reader.readuntil(b"\r\n\r\n")
    return head.split(b" ", 2)[1].decode()


def answering(body: bytes, *headers: str, status: str = "200 OK") -> Handler:
    """Answer every request alike, on one connection after the other."""
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    answer = "\r\n".join((*lines, "", "")).encode() + body

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await request(reader)
            writer.write(answer)
            await writer.drain()

    return handler
