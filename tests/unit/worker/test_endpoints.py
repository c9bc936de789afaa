import http.client
import socket
from collections.abc import Iterator

import pytest

from worker.endpoints import FIRST_PORT, REQUESTS_MAX, Endpoints, Health, Pages, PortTaken


class Worker:
    """What the endpoints ask, as the test sets it."""

    def __init__(self) -> None:
        self.alive = Health(True, "alive")
        self.ready = Health(False, "joining")

    def pages(self) -> Pages:
        """All pages."""
        return Pages(
            lambda: b"tuwen_up 1\n", lambda: self.alive, lambda: self.ready, lambda: b"[1]\n"
        )


@pytest.fixture
def worker() -> Worker:
    """A worker that is not ready yet."""
    return Worker()


@pytest.fixture
def port(worker: Worker) -> Iterator[int]:
    """Where the worker's endpoints are."""
    endpoints = Endpoints("127.0.0.1", 0, worker.pages())
    yield endpoints.port
    endpoints.close()


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    """Status and body of a page."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_metrics_are_a_page_of_text(port: int) -> None:
    """As Prometheus asks for them, a query included."""
    assert get(port, "/metrics?x=1") == (200, "tuwen_up 1\n")


def test_debug_images_is_a_page_of_json(port: int) -> None:
    """Which image hosts did worst."""
    assert get(port, "/debug/images") == (200, "[1]\n")


def test_readyz_says_why_it_is_not_ready(port: int, worker: Worker) -> None:
    """503 with the reason until ready; an idle worker is ready."""
    assert get(port, "/readyz") == (503, "joining\n")
    worker.ready = Health(True, "idle, no partition")
    assert get(port, "/readyz") == (200, "idle, no partition\n")


def test_healthz_fails_when_the_worker_is_stuck(port: int, worker: Worker) -> None:
    """What restarts a worker asks this one."""
    assert get(port, "/healthz") == (200, "alive\n")
    worker.alive = Health(False, "no poll for 40 s")
    assert get(port, "/healthz") == (503, "no poll for 40 s\n")


def test_another_path_says_what_there_is(port: int) -> None:
    """A mistyped path is answered helpfully."""
    status, body = get(port, "/")
    assert (status, "/metrics" in body) == (404, True)


def test_a_port_that_is_taken_refuses_and_is_named(port: int, worker: Worker) -> None:
    """A set port is never silently another one."""
    with pytest.raises(PortTaken, match=rf"127\.0\.0\.1:{port} is taken.*TUWEN_METRICS_PORT"):
        Endpoints("127.0.0.1", port, worker.pages())


def test_an_address_that_is_not_here_refuses_and_is_named(worker: Worker) -> None:
    """The address is said, not only the errno."""
    with pytest.raises(PortTaken, match=r"192\.0\.2\.1:0 .*metrics_host"):
        Endpoints("192.0.2.1", 0, worker.pages())


def test_without_a_port_the_next_free_one_is_taken(worker: Worker) -> None:
    """Two workers on one machine get two ports from 9464 on."""
    first = Endpoints("127.0.0.1", None, worker.pages())
    second = Endpoints("127.0.0.1", None, worker.pages())
    try:
        assert FIRST_PORT <= first.port < second.port
    finally:
        first.close()
        second.close()


def test_the_port_is_free_after_closing(worker: Worker) -> None:
    """A restarted worker gets the same port."""
    first = Endpoints("127.0.0.1", 0, worker.pages())
    get(first.port, "/metrics")
    first.close()
    again = Endpoints("127.0.0.1", first.port, worker.pages())
    again.close()
    assert again.port == first.port


def test_silent_clients_are_bounded(port: int) -> None:
    """When all places are held by clients that say nothing, the next is hung up on."""
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(REQUESTS_MAX)]
    try:
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            get(port, "/healthz")
    finally:
        for connection in silent:
            connection.close()
