"""Read `http:` and `https:` references: all fetches run in one asyncio thread of the source's own.

A batch of references enters from the thread that waits; who waits is a post, never the poll. Of
two posts with one reference in flight, one fetches.
"""

import asyncio
import threading
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, TypeVar

from aiohttp import ClientSession
from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.address_guard import AddressGuard
from worker.images.guarded_connections import Network, connector
from worker.images.host_health import LEFT_ALONE, Hosts
from worker.images.host_reports import HostReport
from worker.images.http_fetch import LOOKS_MAX, HttpBounds, HttpFetch, session
from worker.images.sources import NOTHING_KNOWN, Answer, FetchWatch, Known, Version

# How long a fetch may wait for its turn: over 4 s an image, at 8 at once, for a batch of 64.
TURN_S: Final = 30.0
CLOSE_S: Final = 2.0

T = TypeVar("T")


class HttpSource:
    """Fetches what `guard` lets pass. Ends its thread on `close`."""

    def __init__(
        self,
        guard: AddressGuard,
        bounds: HttpBounds,
        watch: FetchWatch,
        agent: str,
        network: Network | None = None,
    ) -> None:
        self._guard = guard
        self._bounds = bounds
        self._watch = watch
        self._hosts = Hosts(bounds.connections_per_host_max)
        self._turn = asyncio.Semaphore(bounds.connections_max)
        self._flights: dict[tuple[URL, Version | None], asyncio.Task[Answer]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="images", daemon=True)
        self._thread.start()
        self._session = self._told(self._opened(agent, network or Network())).result()
        self._http = HttpFetch(self._session, guard, self._hosts, bounds)

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Fetch all side by side, as far as politeness allows."""
        return self._told(self._all(references, known)).result()

    def worst_hosts(self) -> list[HostReport]:
        """Those that did worst of late; any thread may ask."""

        async def asked() -> list[HostReport]:
            return self._hosts.worst()

        return self._told(asked()).result(CLOSE_S)

    def close(self) -> None:
        """Break off what is fetched, hang up, and end the thread."""
        with suppress(TimeoutError):
            self._told(self._hung_up()).result(CLOSE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_S)

    def _told(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    async def _opened(self, agent: str, network: Network) -> ClientSession:
        most, of_a_host = self._bounds.connections_max, self._bounds.connections_per_host_max
        limits = most + LOOKS_MAX, of_a_host
        return session(connector(self._guard, network, *limits), agent)

    async def _hung_up(self) -> None:
        flights = [*self._flights.values(), *self._http.looks.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._session.close()

    async def _all(self, references: Sequence[str], known: Known) -> list[Answer]:
        flights = [self._flight(reference, known.get(reference)) for reference in references]
        pending = {flight for flight in flights if isinstance(flight, asyncio.Task)}
        if pending:
            await asyncio.wait(pending)
        self._watch.hosts_left_alone(self._hosts.left_alone())
        return [each.result() if isinstance(each, asyncio.Task) else each for each in flights]

    def _flight(self, reference: str, known: Version | None) -> asyncio.Task[Answer] | ImageProblem:
        """Begin to fetch, or join who is fetching it."""
        url = self._guard.target(reference)
        if isinstance(url, ImageProblem):
            return url
        flight = self._flights.get((url, known))
        if flight is None:
            flight = self._loop.create_task(self._in_turn(url, known))
            self._flights[url, known] = flight
            flight.add_done_callback(lambda _: self._flights.pop((url, known)))
        return flight

    async def _in_turn(self, url: URL, known: Version | None) -> Answer:
        turn = self._hosts.of(url).turn
        try:
            async with asyncio.timeout(TURN_S) as waiting, turn, self._turn:
                waiting.reschedule(None)
                began_s = time.perf_counter()
                image = await self._http.fetch(url, known)
                if image != LEFT_ALONE:
                    self._watch.fetch_took(url.scheme, time.perf_counter() - began_s)
                return image
        except TimeoutError:
            return ImageProblem(
                Reason.IMAGE_TIMEOUT, f"the host was busy with others for {TURN_S:g} s"
            )
