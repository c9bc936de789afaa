"""Serve metrics, health and the worst image hosts over HTTP, in a thread of their own."""

import errno
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_PAGES: Final = b"/metrics, /healthz, /readyz and /debug/images are here\n"
FIRST_PORT: Final = 9464
PORTS_TRIED_MAX: Final = 200
REQUESTS_MAX: Final = 16
REQUEST_TIMEOUT_S: Final = 5.0


class PortTaken(Exception):
    """The port of the metrics cannot be had; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Health:
    """An answer to "are you well?": `why` is a line for people, in both cases."""

    well: bool
    why: str


@dataclass(frozen=True, slots=True)
class Pages:
    """What the endpoints show, each made anew when it is asked for."""

    metrics: Callable[[], bytes]
    alive: Callable[[], Health]
    ready: Callable[[], Health]
    worst_image_hosts: Callable[[], bytes] = lambda: b"[]\n"


class Endpoints:
    """Serves until closed. `port` is the one that was found."""

    def __init__(self, host: str, port: int | None, pages: Pages) -> None:
        """Bind `port`, or the first that is free from 9464 when it is None; 0 takes any."""
        self._server = _bind(host, port)
        self._server.pages = pages
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="endpoints", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingTCPServer):
    """Bounded in requests; nobody's slow reading keeps the process alive."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = REQUESTS_MAX
    pages: Pages

    def __init__(self, *args: Any) -> None:
        self._free = threading.BoundedSemaphore(REQUESTS_MAX)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, or hang up when all of them are busy."""
        if not self._free.acquire(blocking=False):
            return self.shutdown_request(request)
        return super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and free the thread's place."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is no event."""


class _ServerOnIPv6(_Server):
    address_family = socket.AF_INET6


class _Handler(BaseHTTPRequestHandler):
    """Knows four pages."""

    timeout = REQUEST_TIMEOUT_S
    server: _Server

    def do_GET(self) -> None:
        """Answer with a page."""
        pages = self.server.pages
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_PLAIN_0_0_4, pages.metrics())
            case "/healthz":
                self._tell(pages.alive())
            case "/readyz":
                self._tell(pages.ready())
            case "/debug/images":
                self._answer(HTTPStatus.OK, "application/json", pages.worst_image_hosts())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", _PAGES)

    def _tell(self, health: Health) -> None:
        status = HTTPStatus.OK if health.well else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "text/plain; charset=utf-8", f"{health.why}\n".encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """A scrape is no event."""


def _bind(host: str, port: int | None) -> _Server:
    server = _ServerOnIPv6 if ":" in host else _Server
    ports = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED_MAX) if port is None else (port,)
    for candidate in ports:
        try:
            return server((host, candidate), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise PortTaken(
                    f"metrics cannot be served on {host}:{candidate} ({error.strerror}): "
                    "correct metrics_host or metrics_port (TUWEN_METRICS_PORT)"
                ) from error
    raise PortTaken(
        f"the metrics port {host}:{ports[0]} is taken: set another with TUWEN_METRICS_PORT, or "
        "leave it unset to take a free one"
    )
