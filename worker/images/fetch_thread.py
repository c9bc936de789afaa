"""The one thread in which all images of the network are fetched, and what its sources share."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from worker.images.host_health import Hosts
from worker.images.host_reports import HostReport, worst

CLOSE_S: Final = 2.0

T = TypeVar("T")


class FetchThread:
    """A thread with an asyncio loop. `turn` is held by each fetch, of whatever source.

    It belongs to the thread, as all hosts do. Sources hang up before `close` ends it.
    """

    def __init__(self, at_once_max: int) -> None:
        self.turn = asyncio.Semaphore(at_once_max)
        self._hosts: list[Hosts] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)
        self._thread.start()

    def told(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Let the thread do some work; any other thread may ask."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def hosts(self, asked_at_once_max: int) -> Hosts:
        """The hosts of one source: what a post does to one as a host, it does not do to a store."""
        hosts = Hosts(asked_at_once_max)
        self._hosts.append(hosts)
        return hosts

    def left_alone(self) -> int:
        """How many hosts are left alone; only the thread may ask."""
        return sum(hosts.left_alone() for hosts in self._hosts)

    def worst_hosts(self) -> list[HostReport]:
        """Those that did worst of late; any other thread may ask."""

        async def asked() -> list[HostReport]:
            return worst(report for hosts in self._hosts for report in hosts.worst())

        return self.told(asked()).result(CLOSE_S)

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
