import http.client
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker import logs, supervisor
from worker.children import Child, Said
from worker.endpoints import Endpoints, Health, Pages
from worker.exit_codes import FAILED, REFUSED, STOPPED
from worker.images.host_reports import HostReport, page
from worker.settings import WorkerSettings
from worker.slots import claimed
from worker.supervisor import RESTART_MAX_S, Supervisor, restart_delay_s


class FakeChild:
    """A child without a process; the test says what becomes of it."""

    def __init__(self, settings: WorkerSettings, number: int) -> None:
        self.settings = settings
        self.pid = 1000 + number
        self.started_s = time.monotonic()
        self.said = Said()
        self.code: int | None = None
        self.ready = (200, b"ready\n")
        self.deaf = False
        self.was_killed = False

    def exit_code(self) -> int | None:
        """As the test set it."""
        return self.code

    def stop(self) -> None:
        """Stop at once, unless it is deaf."""
        if not self.deaf:
            self.code = self.code if self.code is not None else 0

    def kill(self) -> None:
        """Die."""
        self.was_killed, self.code = True, -9

    def ask(self, path: str) -> tuple[int, bytes] | None:
        """Answer as a worker would once it serves."""
        if self.said.port is None or self.code is not None:
            return None
        if path == "/readyz":
            return self.ready
        if path == "/debug/images":
            return 200, page([HostReport("a.example:80", 1, 1, 0.5, left_alone=True)])
        name = b"tuwen_posts_total"
        return 200, b'# HELP %s P.\n# TYPE %s counter\n%s{slot="%d"} 1.0\n' % (
            *(name,) * 3,
            self.pid - 1000,
        )


class Nursery:
    """Starts fake children, and a supervisor over them in a thread."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.born: list[FakeChild] = []
        self.code: int | None = None
        self.supervisor = Supervisor(settings, self._start)  # type: ignore[arg-type]
        self._thread = threading.Thread(target=self._run)

    def _start(self, settings: WorkerSettings) -> FakeChild:
        self.born.append(FakeChild(settings, len(self.born)))
        return self.born[-1]

    def _run(self) -> None:
        self.code = self.supervisor._keep_running()

    def start(self, children: int) -> None:
        """Run the supervisor, and wait for its first children."""
        self._thread.start()
        self.until(lambda: len(self.born) >= children)

    def serve(self, *children: FakeChild) -> None:
        """Let children say that they serve, and the supervisor hear it."""
        for child in children:
            child.said = Said(slot=0, port=1)
        self.until(lambda: self.supervisor._served)

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what the supervisor's thread brings about."""
        deadline_s = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline_s, "it did not come in time"
            time.sleep(0.005)

    def stop(self) -> int | None:
        """Tell the supervisor to stop, and give its exit code."""
        self.supervisor._stopping.request()
        return self.join()

    def join(self) -> int | None:
        """Wait for its end."""
        self._thread.join(20)
        self.supervisor._stopping.done()
        return self.code


@pytest.fixture(autouse=True)
def _fast_and_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, restart soon, and leave the tests' own logs alone."""
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(supervisor, "RESTART_FIRST_S", 0.02)
    monkeypatch.setattr(logs, "configure", lambda *_: None)


@pytest.fixture
def settings() -> WorkerSettings:
    """Three workers."""
    return WorkerSettings(processes=3, stop_timeout_s=0.1, metrics_port=4711)


@pytest.fixture
def nursery(settings: WorkerSettings) -> Iterator[Nursery]:
    """A supervisor of three, stopped after the test."""
    nursery = Nursery(settings)
    yield nursery
    if nursery._thread.is_alive():
        nursery.stop()


def test_a_dead_child_is_replaced_and_the_others_left_alone(nursery: Nursery) -> None:
    """One death is one restart, in the same place, and it is counted."""
    nursery.start(3)
    nursery.serve(*nursery.born)
    nursery.born[1].code = -9
    nursery.until(lambda: len(nursery.born) == 4)
    assert nursery.stop() == STOPPED
    counted = nursery.supervisor._registry.get_sample_value("tuwen_child_restarts_total")
    assert (counted, len(nursery.born)) == (1, 4)


def test_children_serve_their_pages_to_the_parent_alone(nursery: Nursery) -> None:
    """Each is a single worker on a loopback port of its own; the rest of the settings is theirs."""
    nursery.start(3)
    own = nursery.born[0].settings
    assert (own.processes, own.metrics_host, own.metrics_port) == (1, "127.0.0.1", None)
    assert own.stop_timeout_s == 0.1


def test_a_first_start_that_is_refused_ends_all_with_its_reason(
    nursery: Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing bundle is said once, not three times and not for ever."""
    nursery.start(3)
    for child in nursery.born:
        child.said, child.code = Said(refused="no bundle there"), REFUSED
    assert nursery.join() == REFUSED
    assert capsys.readouterr().err == "tuwen worker: no bundle there\n"


def test_a_refusal_after_a_good_start_is_tried_again(nursery: Nursery) -> None:
    """A broker that is away for a while ends no parent."""
    nursery.start(3)
    nursery.serve(nursery.born[0])
    nursery.born[1].said, nursery.born[1].code = Said(refused="no answer"), REFUSED
    nursery.until(lambda: len(nursery.born) == 4)
    assert nursery.stop() == STOPPED


def test_a_child_whose_slot_was_taken_ends_all(
    nursery: Nursery, capsys: pytest.CaptureFixture[str]
) -> None:
    """A new one would take it back, and lose it again: two parents would fight for ever."""
    nursery.start(3)
    nursery.serve(nursery.born[0])
    nursery.born[1].said = Said(refused="slot taken", taken=True)
    nursery.born[1].code = REFUSED
    assert nursery.join() == REFUSED
    assert capsys.readouterr().err == "tuwen worker: slot taken\n"


def test_a_child_that_does_not_stop_is_killed(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the timeout and the grace; the exit code says that it was not clean."""
    monkeypatch.setattr(supervisor, "GRACE_S", 0.05)
    nursery.start(3)
    nursery.born[2].deaf = True
    assert nursery.stop() == FAILED
    assert [child.was_killed for child in nursery.born] == [False, False, True]


def test_a_second_signal_kills_the_children_too(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at once means all of it."""
    words: list[str] = []
    monkeypatch.setattr(supervisor, "end_at_once", words.append)
    nursery.start(3)
    nursery.supervisor._end_at_once("enough")
    assert (words, [child.was_killed for child in nursery.born[:3]]) == (["enough"], [True] * 3)


def test_one_page_shows_all_children(nursery: Nursery) -> None:
    """Each sample with its slot; the parent's own beside them; one who is starting is left out."""
    nursery.start(3)
    nursery.serve(*nursery.born[:2])
    nursery.until(lambda: nursery.supervisor._registry.get_sample_value("tuwen_children") == 3)
    page = nursery.supervisor._metrics().decode()
    assert [line for line in page.splitlines() if line.startswith("tuwen_posts_total{")] == [
        'tuwen_posts_total{slot="0"} 1.0',
        'tuwen_posts_total{slot="1"} 1.0',
    ]
    assert 'tuwen_children{slot="parent"} 3.0' in page


def test_the_parent_shows_the_worst_image_hosts_of_all_children(nursery: Nursery) -> None:
    """A host counts once, with what all saw of it."""
    nursery.start(3)
    nursery.serve(*nursery.born[:2])
    shown = msgspec.json.decode(nursery.supervisor._worst_image_hosts(), type=list[HostReport])
    assert shown == [HostReport("a.example:80", 2, 2, 1.0, left_alone=True)]


def test_the_parent_is_ready_when_all_children_are(nursery: Nursery) -> None:
    """Until then it says how many are, and the first reason."""
    nursery.start(3)
    nursery.serve(*nursery.born[:2])
    nursery.born[1].ready = (503, b"joining\n")
    assert nursery.supervisor._ready() == Health(False, "1 of 3 workers are ready: joining")
    nursery.born[1].ready = (200, b"ready\n")
    assert nursery.supervisor._ready() == Health(False, "2 of 3 workers are ready: starting")
    nursery.born[2].said = Said(slot=2, port=1)
    assert nursery.supervisor._ready() == Health(True, "3 of 3 workers are ready")


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_delay_before_a_restart_grows_to_a_bound(deaths: int, chance: float) -> None:
    """It never shrinks by more than chance, and never passes the bound."""
    delay_s = restart_delay_s(deaths, chance)
    assert 0 < delay_s <= RESTART_MAX_S
    assert restart_delay_s(deaths + 1, chance) >= delay_s
    assert restart_delay_s(deaths, 0) <= delay_s <= 2 * restart_delay_s(deaths, 0)


def test_a_child_that_lived_well_is_restarted_without_a_history(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deaths in a row make the delay longer; a good life in between forgets them."""
    nursery.start(3)
    nursery.serve(*nursery.born)
    seat = nursery.supervisor._seats[0]
    nursery.born[0].code = -9
    nursery.until(lambda: len(nursery.born) == 4)
    nursery.born[3].code = -9
    nursery.until(lambda: len(nursery.born) == 5)
    assert seat.deaths == 2
    monkeypatch.setattr(supervisor, "LIVED_WELL_S", 0.0)
    nursery.born[-1].code = -9
    nursery.until(lambda: len(nursery.born) == 6)
    assert seat.deaths == 1


def test_a_taken_port_refuses_before_any_child_starts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A set port is that port or nothing."""
    health = Health(True, "")
    other = Endpoints("127.0.0.1", 0, Pages(lambda: b"", lambda: health, lambda: health))
    try:
        code = Supervisor(WorkerSettings(processes=2, metrics_port=other.port)).run()
    finally:
        other.close()
    assert code == REFUSED
    assert f"127.0.0.1:{other.port} is taken" in capsys.readouterr().err


def test_a_taken_slot_refuses_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, before anything is loaded."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with claimed("g", "here", 3):
        code = supervisor.run(WorkerSettings(group="g", instance="here", slot=3))
    assert code == REFUSED
    assert capsys.readouterr().err.startswith("tuwen worker: slot 3 of g on here is taken by")


CHILD = """
import http.server, json, sys
settings = json.loads(sys.stdin.readline())
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503); self.end_headers(); self.wfile.write(self.path.encode())
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Page)
print("noise that is no JSON", flush=True)
print(json.dumps({"slot": settings["slot"], "port": server.server_port}), flush=True)
import threading
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
sys.exit(7)
"""


def test_a_child_gets_its_settings_and_is_asked_over_its_port() -> None:
    """One line in, lines of JSON out, pages over HTTP; the pipe's end is its end."""
    child = Child(WorkerSettings(slot=5), (sys.executable, "-P", "-c", CHILD))
    try:
        deadline_s = time.monotonic() + 20
        while child.said.port is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert child.said.slot == 5
        assert child.ask("/readyz") == (503, b"/readyz")
        assert child.exit_code() is None
        assert child._process.stdin is not None
        child._process.stdin.close()
        while child.exit_code() is None and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert child.exit_code() == 7
        assert child.ask("/readyz") is None
    finally:
        child.kill()


def test_a_child_that_dies_at_once_breaks_nothing() -> None:
    """Its settings cannot be written, and that is no fault of the parent's."""
    child = Child(WorkerSettings(), (sys.executable, "-S", "-c", "raise SystemExit(3)"))
    deadline_s = time.monotonic() + 20
    while child.exit_code() is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert (child.exit_code(), child.said) == (3, Said())


def test_a_whole_parent_serves_and_stops(
    settings: WorkerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` from its first line to its last, with a page in between."""
    born: list[FakeChild] = []

    def start(own: WorkerSettings) -> FakeChild:
        born.append(FakeChild(own, len(born)))
        return born[-1]

    parent = Supervisor(settings.model_copy(update={"metrics_port": None}), start)  # type: ignore[arg-type]
    ports: list[int] = []
    endpoints = parent._endpoints

    def remember() -> Endpoints:
        serving = endpoints()
        ports.append(serving.port)
        threading.Thread(target=ask_and_stop).start()
        return serving

    statuses: list[int] = []

    def ask_and_stop() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", ports[0], timeout=5)
        connection.request("GET", "/healthz")
        statuses.append(connection.getresponse().status)
        connection.close()
        parent._stopping.request()

    monkeypatch.setattr(parent, "_endpoints", remember)
    assert parent.run() == STOPPED
    assert statuses == [200]
