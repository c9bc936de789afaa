"""A TCP proxy on loopback that does to connections what a bad network does.

A fault is in force for all connections from the moment that it is set until another is; what it
has done is counted, so that a scenario can show that it hit.
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final, Literal

HOST: Final = "127.0.0.1"
CHUNK_BYTES: Final = 64 * 1024
TRICKLE_BYTES: Final = 1024
# Closing a connection with it set sends a reset.
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a piece of bytes; by default nothing does.

    delay_s: each answer is that late. resets: so many answers of one reset their connection.
    swallows: nothing passes in either direction, and nobody is told: `all` of what there is, or
    what is connected `now`, and not what connects later. trickle_s: each KiB of an answer takes
    that long.
    """

    delay_s: float = 0.0
    resets: float = 0.0
    swallows: Literal["nothing", "now", "all"] = "nothing"
    trickle_s: float = 0.0


class Proxy:
    """Listens on one port, and passes on to another; `hits` counts the pieces that a fault met."""

    def __init__(self, port: int, to_port: int, seed: int) -> None:
        self._port = port
        self._to_port = to_port
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._fault = Fault()
        self._dead: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self.hits = 0

    def set(self, fault: Fault) -> None:
        """Have this fault from now on; what was swallowed before it is missing: that ends."""
        self._loop.call_soon_threadsafe(self._set, fault)

    def _set(self, fault: Fault) -> None:
        if self._fault.swallows == "all":
            for writer in self._dead:
                _reset(writer)
            self._dead.clear()
        if fault.swallows == "now":
            self._dead |= self._open
        self._fault = fault

    def run(self) -> None:
        """Serve until `close`."""
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, HOST, self._port))
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _serve(self, asking: asyncio.StreamReader, answering: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            answers, asked = await asyncio.open_connection(HOST, self._to_port)
            self._open |= {answering, asked}
            questions = asyncio.create_task(self._pass(asking, asked, answer=False))
            try:
                await self._pass(answers, answering, answer=True)
            finally:
                questions.cancel()
                self._open -= {answering, asked}
                self._dead -= {answering, asked}
                asked.close()
                answering.close()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answer: bool
    ) -> None:
        with suppress(OSError):
            while piece := await reader.read(CHUNK_BYTES):
                fault = self._fault
                if writer in self._dead or fault.swallows == "all":
                    self._dead.add(writer)
                    self.hits += 1
                    continue
                if answer and fault.resets and self._chance.random() < fault.resets:
                    self.hits += 1
                    _reset(writer)
                    return
                if answer and (fault.delay_s or fault.trickle_s):
                    self.hits += 1
                    await asyncio.sleep(fault.delay_s)
                for start in range(0, len(piece), TRICKLE_BYTES) if fault.trickle_s else ():
                    writer.write(piece[start : start + TRICKLE_BYTES])
                    await asyncio.sleep(fault.trickle_s)
                if not fault.trickle_s:
                    writer.write(piece)
                await writer.drain()
        if not answer:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    taken = writer.get_extra_info("socket")
    with suppress(OSError):
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@contextmanager
def proxy(port: int, to_port: int, seed: int = 7) -> Iterator[Proxy]:
    """Run one on a thread of its own."""
    running = Proxy(port, to_port, seed)
    thread = threading.Thread(target=running.run, name="proxy", daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.close()
        thread.join()
