"""Read references whose images are had by http(s): all fetches run in one asyncio thread.

A batch of references enters from the thread that waits; who waits is a post, never the poll. Of
two posts with one reference in flight, one fetches.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from aiohttp import ClientSession
from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.fetch_rules import FetchRules
from worker.images.fetch_thread import CLOSE_S, FetchThread
from worker.images.guarded_connections import Network, connector
from worker.images.host_health import LEFT_ALONE
from worker.images.host_reports import HostReport
from worker.images.http_fetch import LOOKS_MAX, HttpBounds, HttpFetch, session
from worker.images.sources import NOTHING_KNOWN, Answer, FetchWatch, Known, Version

# How long a fetch may wait for its turn: near 4 s an image, at 16 at once, for a batch of 128.
TURN_S: Final = 30.0


class HttpSource:
    """Fetches what `rules` let pass: in a thread that it shares, or in one of its own."""

    def __init__(
        self,
        rules: FetchRules,
        bounds: HttpBounds,
        watch: FetchWatch,
        agent: str,
        network: Network | None = None,
        shared: FetchThread | None = None,
    ) -> None:
        self._rules = rules
        self._bounds = bounds
        self._watch = watch
        self._took_s: defaultdict[str, list[float]] = defaultdict(list)
        self._flights: dict[tuple[URL, Version | None], asyncio.Task[Answer]] = {}
        self._thread = shared or FetchThread(bounds.connections_max)
        self._own = self._thread if shared is None else None
        self._hosts = self._thread.hosts(bounds.connections_per_host_max)
        self._session = self._thread.told(self._opened(agent, network or Network())).result()
        self._http = HttpFetch(self._session, rules, self._hosts, bounds)

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Fetch all side by side, as far as politeness allows."""
        return self._thread.told(self._all(references, known)).result()

    def worst_hosts(self) -> list[HostReport]:
        """Those of its thread that did worst of late; any other thread may ask."""
        return self._thread.worst_hosts()

    def close(self) -> None:
        """Break off what is fetched, hang up, and end the thread, if it is its own."""
        with suppress(TimeoutError):
            self._thread.told(self._hung_up()).result(CLOSE_S)
        if self._own is not None:
            self._own.close()

    async def _opened(self, agent: str, network: Network) -> ClientSession:
        most, of_a_host = self._bounds.connections_max, self._bounds.connections_per_host_max
        limits = most + LOOKS_MAX, of_a_host
        return session(connector(self._rules, network, *limits), agent)

    async def _hung_up(self) -> None:
        flights = [*self._flights.values(), *self._http.looks.values()]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._session.close()

    async def _all(self, references: Sequence[str], known: Known) -> list[Answer]:
        self._http.begin_portion()
        flights = [self._flight(reference, known.get(reference)) for reference in references]
        pending = {flight for flight in flights if isinstance(flight, asyncio.Task)}
        if pending:
            await asyncio.wait(pending)
        self._tell()
        return [each.result() if isinstance(each, asyncio.Task) else each for each in flights]

    def _flight(self, reference: str, known: Version | None) -> asyncio.Task[Answer] | ImageProblem:
        """Begin to fetch, or join who is fetching it."""
        url = self._rules.target(reference)
        if isinstance(url, ImageProblem):
            return url
        flight = self._flights.get((url, known))
        if flight is None:
            scheme = reference.partition(":")[0].lower()
            flight = asyncio.create_task(self._in_turn(url, known, scheme))
            self._flights[url, known] = flight
            flight.add_done_callback(lambda _: self._flights.pop((url, known)))
        return flight

    async def _in_turn(self, url: URL, known: Version | None, scheme: str) -> Answer:
        turn = self._hosts.of(url).turn
        if turn.locked() or self._thread.turn.locked():
            return await self._when_free(turn, url, known, scheme)
        # Most have their turn at once, and need no clock.
        async with turn, self._thread.turn:
            return await self._timed(url, known, scheme)

    async def _when_free(
        self, turn: asyncio.Semaphore, url: URL, known: Version | None, scheme: str
    ) -> Answer:
        try:
            async with asyncio.timeout(TURN_S) as waiting, turn, self._thread.turn:
                waiting.reschedule(None)
                return await self._timed(url, known, scheme)
        except TimeoutError:
            return ImageProblem(
                Reason.IMAGE_TIMEOUT, f"the host was busy with others for {TURN_S:g} s"
            )

    async def _timed(self, url: URL, known: Version | None, scheme: str) -> Answer:
        began_s = time.perf_counter()
        image = await self._http.fetch(url, known)
        if image != LEFT_ALONE:
            self._took_s[scheme].append(time.perf_counter() - began_s)
        return image

    def _tell(self) -> None:
        """Tell of a batch at once: a metric takes as long for one as for all."""
        for scheme, took_s in self._took_s.items():
            self._watch.fetches_took(scheme, took_s)
        self._took_s.clear()
        self._watch.hosts_left_alone(self._thread.left_alone())
