"""Fetch one image by http(s): a URL that the guard let pass enters, bytes or a problem leave.

Redirects are followed by hand, each held to the guard. Nothing that the host says is believed: its
content type is not looked at, a content encoding is refused, a length only ends a fetch sooner.
Only whether its image has changed is the host's own to say.

A host that is not known to be well must begin to answer soon: no post waits longer for it. Whether
it is dead or only slow is found out behind the posts' backs, by a fetch that has the whole time.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import aiohttp
from aiodns.error import ARES_ENODATA, ARES_ENOTFOUND, DNSError
from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.fetch_rules import FetchRules
from worker.images.guarded_connections import CONNECT_S, ForbiddenAddress
from worker.images.host_health import LEFT_ALONE, NO_ANSWER, HostHealth, Hosts
from worker.images.http_freshness import condition, fresh_s, version_of
from worker.images.sources import Answer, Portion, Postponed, Unchanged, Version, Versioned

REDIRECTS_MAX: Final = 3
HEADERS_MAX: Final = 100
HEADER_BYTES_MAX: Final = 8190
# What comes slower than this, after a while for the start, holds a connection and brings no image.
BYTES_PER_S_MIN: Final = 16 * 1024
SLOW_START_S: Final = 2.0
LOOKS_MAX: Final = 16
"""So many hosts that did not answer at first are looked at again at once, beside the posts' own."""

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ABSENT: Final = frozenset({404, 410})
_OVERLOADED: Final = frozenset({429, 503})

_UNAVAILABLE: Final = Reason.IMAGE_HOST_UNAVAILABLE


@dataclass(frozen=True, slots=True)
class HttpBounds:
    """What a fetch may take, over all hops, and how many run at once, of all hosts and of one.

    `reading_bytes_max` is what all images together may take that are given at once; what is being
    read may take it once more for small bodies, and once more for others. `fresh_s_max` is for how
    long a host is believed that its image stays the same. `first_answer_s` is how long a host may
    take to begin that is not known to be well; None: as long as any.
    """

    timeout_s: float
    bytes_max: int
    connections_max: int
    connections_per_host_max: int
    reading_bytes_max: int = 64 * 2**20
    fresh_s_max: float = 0.0
    first_answer_s: float | None = None


class HttpFetch:
    """Asks hosts, and notes how they do."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        rules: FetchRules,
        hosts: Hosts,
        bounds: HttpBounds,
    ) -> None:
        self._session = session
        self._rules = rules
        self._hosts = hosts
        self._bounds = bounds
        # So many of the largest, or all connections with an even share each.
        self._large = asyncio.Semaphore(max(1, bounds.reading_bytes_max // bounds.bytes_max))
        self._small_bytes_max = bounds.reading_bytes_max // bounds.connections_max
        self._portion = Portion(bounds.reading_bytes_max)
        self.looks: dict[HostHealth, asyncio.Task[None]] = {}

    def begin_portion(self) -> None:
        """From now on count the images that are given at once anew."""
        self._portion = Portion(self._bounds.reading_bytes_max)

    async def fetch(self, url: URL, known: Version | None = None) -> Answer:
        """Follow `url` to an image. Ends by the deadline, whatever the hosts do."""
        timeout_s = self._bounds.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await self._followed(url, known)
        except TimeoutError:
            late = ImageProblem(Reason.IMAGE_TIMEOUT, f"not there within {timeout_s:g} s")
            return self._dated(late, url)

    async def _followed(self, url: URL, known: Version | None) -> Answer:
        for hop in range(REDIRECTS_MAX + 1):
            health = self._hosts.of(url)
            if not health.may_be_asked(_now_s()):
                return self._left_alone(url)
            patience_s = None if health.well(_now_s()) else self._bounds.first_answer_s
            answer = await self._asked(url, health, known, patience_s)
            if answer is NO_ANSWER:
                self._look_again(url, health)
            if isinstance(answer, ImageProblem):
                return self._dated(answer, url)
            if not isinstance(answer, str):
                return _to_be_asked_again(answer) if hop else answer
            target = self._rules.redirected(url, answer)
            if isinstance(target, ImageProblem):
                return target
            url = target
        return ImageProblem(Reason.IMAGE_UNREADABLE, f"more than {REDIRECTS_MAX} redirects")

    def _left_alone(self, url: URL) -> ImageProblem:
        return replace(LEFT_ALONE, again_s=self._hosts.of(url).again_s(_now_s()))

    def _dated(self, problem: ImageProblem, url: URL) -> ImageProblem:
        """Say when to ask the host again may help, now that it is known how it did."""
        again_s = self._hosts.of(url).again_s(_now_s())
        return replace(problem, again_s=max(problem.again_s, again_s))

    def _look_again(self, url: URL, health: HostHealth) -> None:
        """Find out whether a host is only slow, with no post that waits for it."""

        async def looking() -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bounds.timeout_s):
                    await self._asked(url, health, None, None)

        if health not in self.looks and len(self.looks) < LOOKS_MAX:
            self.looks[health] = asyncio.create_task(looking())
            self.looks[health].add_done_callback(lambda _: self.looks.pop(health))

    async def _asked(
        self, url: URL, health: HostHealth, known: Version | None, patience_s: float | None
    ) -> Answer | str:
        """Ask one host, and note how it did. Text is where it redirects to."""
        health.asked += 1
        began_s = _now_s()
        asking = condition(url, known)
        try:
            async with await self._begun(self._rules.signed(url), asking, patience_s) as response:
                answer = await self._answer(url, response, known if asking else None)
                _note(health, response, answer)
                return answer
        except asyncio.CancelledError:
            health.failed(_now_s())
            raise
        except Exception as error:  # noqa: BLE001 - a stranger's server makes a client raise all kinds.
            problem = _problem(error)
            if problem.reason in {_UNAVAILABLE, Reason.IMAGE_TIMEOUT}:
                health.failed(_now_s())
            else:
                health.undecided()
            return problem
        finally:
            health.took_s += _now_s() - began_s

    async def _begun(
        self, url: URL, asking: Mapping[str, str], patience_s: float | None
    ) -> aiohttp.ClientResponse:
        """Send a request, and wait for the head of its answer, or no longer than is said."""
        request = self._session.get(url, allow_redirects=False, headers=asking)
        if patience_s is None:
            return await request
        async with asyncio.timeout(patience_s):
            return await request

    async def _answer(
        self, url: URL, response: aiohttp.ClientResponse, known: Version | None
    ) -> Answer | str:
        """What came of a request, which asked after `known` unless that is None."""
        location = response.headers.get("Location")
        if response.status in _REDIRECTS and location is not None:
            return location
        fresh = fresh_s(response.headers, self._bounds.fresh_s_max)
        if response.status == HTTPStatus.NOT_MODIFIED and known is not None:
            return Unchanged(known, fresh)
        content = await self._body(response)
        version = version_of(url, response.headers)
        if isinstance(content, ImageProblem | Postponed) or version is None:
            return content
        return Versioned(content, version, fresh)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | Postponed | ImageProblem:
        if response.status != HTTPStatus.OK:
            return _refused(response.status, self._rules.told(response.status))
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return ImageProblem(Reason.IMAGE_UNREADABLE, "it is encoded, which was not asked for")
        length = response.content_length
        if (length or 0) > self._bounds.bytes_max:
            return self._too_large()
        if length is not None and length <= self._small_bytes_max:
            return await self._taken(response)
        async with self._large:
            return await self._taken(response)

    async def _taken(self, response: aiohttp.ClientResponse) -> bytes | Postponed | ImageProblem:
        """Read the body, unless with what is there by now it would be too much.

        Only what is there counts: who says that much will come, and lets it drip, postpones nobody.
        """
        if not self._portion.fits(response.content_length or 0):
            return Postponed()
        content = await self._content(response)
        if isinstance(content, bytes) and not self._portion.takes(len(content)):
            return Postponed()
        return content

    async def _content(self, response: aiohttp.ClientResponse) -> bytes | ImageProblem:
        """Read the body, counting bytes and watching that they come."""
        if response.content.is_eof():
            # All of it came with the head, as a small image does: nothing is left to watch.
            image = response.content.read_nowait()
            return image if len(image) <= self._bounds.bytes_max else self._too_large()
        chunks, size, began_s = [], 0, _now_s()
        try:
            async with asyncio.timeout_at(began_s + SLOW_START_S) as pace:
                async for chunk in response.content.iter_any():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > self._bounds.bytes_max:
                        return self._too_large()
                    pace.reschedule(began_s + SLOW_START_S + size / BYTES_PER_S_MIN)
        except TimeoutError:
            return ImageProblem(
                Reason.IMAGE_TIMEOUT, f"it comes slower than {BYTES_PER_S_MIN} bytes a second"
            )
        return b"".join(chunks)

    def _too_large(self) -> ImageProblem:
        return ImageProblem(Reason.IMAGE_TOO_LARGE, f"more than {self._bounds.bytes_max} bytes")


def session(connector: aiohttp.TCPConnector, agent: str) -> aiohttp.ClientSession:
    """Make a client that takes nothing from the environment, and keeps nothing of a host."""
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": agent, "Accept": "image/*", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        # One deadline stands around a whole fetch: timeouts of its parts let a slow drip through.
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        max_line_size=HEADER_BYTES_MAX,
        max_field_size=HEADER_BYTES_MAX,
        max_headers=HEADERS_MAX,
    )


def retry_after_s(value: str, now: datetime) -> float | None:
    """How long `Retry-After` (RFC 9110, 10.2.3) asks to wait; None when it cannot be read."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def _note(health: HostHealth, response: aiohttp.ClientResponse, answer: Answer | str) -> None:
    wait_s = None
    if response.status in _OVERLOADED:
        wait_s = retry_after_s(response.headers.get("Retry-After", ""), datetime.now(UTC))
    if wait_s is not None:
        health.told_to_wait(_now_s(), wait_s)
    elif isinstance(answer, ImageProblem) and answer.reason == _UNAVAILABLE:
        health.unable(_now_s())
    elif isinstance(answer, ImageProblem) and answer.reason == Reason.IMAGE_TIMEOUT:
        health.failed(_now_s())
    else:
        health.answered(_now_s())


def _to_be_asked_again(answer: Answer) -> Answer:
    """What a redirect led to: where it leads tomorrow only asking tells."""
    return replace(answer, fresh_s=0.0) if isinstance(answer, Versioned | Unchanged) else answer


def _refused(status: int, told: str) -> ImageProblem:
    if status in _ABSENT:
        return ImageProblem(Reason.IMAGE_NOT_FOUND, told)
    if status in _OVERLOADED or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ImageProblem(_UNAVAILABLE, told)
    return ImageProblem(Reason.IMAGE_UNREADABLE, told)


def _problem(error: Exception) -> ImageProblem:
    """What an error of the client says of the host; never what the host wrote."""
    match error:
        case aiohttp.ClientConnectorError(os_error=ForbiddenAddress() as forbidden):
            return ImageProblem(Reason.IMAGE_ADDRESS_FORBIDDEN, str(forbidden))
        case aiohttp.ClientConnectorDNSError(os_error=OSError(__cause__=DNSError() as cause)) if (
            cause.args[0] in {ARES_ENODATA, ARES_ENOTFOUND}
        ):
            return ImageProblem(Reason.IMAGE_NOT_FOUND, "there is no host of that name")
        case aiohttp.ClientConnectorDNSError():
            return ImageProblem(_UNAVAILABLE, "the name servers do not tell its address")
        case aiohttp.ClientSSLError() | aiohttp.ClientConnectorCertificateError():
            return ImageProblem(
                _UNAVAILABLE, "no TLS connection that can be trusted", again_s=math.inf
            )
        case aiohttp.ServerTimeoutError():
            return ImageProblem(Reason.IMAGE_TIMEOUT, f"no connection within {CONNECT_S:g} s")
        case TimeoutError():
            return NO_ANSWER
        case aiohttp.ClientConnectionError() | aiohttp.ClientPayloadError() | OSError():
            return ImageProblem(_UNAVAILABLE, f"the connection failed: {type(error).__name__}")
        case _:
            return ImageProblem(
                Reason.IMAGE_UNREADABLE, f"the answer cannot be read: {type(error).__name__}"
            )


_now_s: Final = time.monotonic
"""The clock of asyncio's loops, without asking which one runs."""
