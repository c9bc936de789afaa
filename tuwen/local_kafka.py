"""Run a real Apache Kafka on this machine without Docker: one broker, its state in one folder.

    STATE/
      broker.json         which process runs, since when, on which ports
      server.properties   what it was started with
      broker.log          what it said
      log/                topics, kept from start to start
      lock                held while somebody starts or stops it

The broker runs in a session of its own and outlives the command that started it; `stop` ends it.
After a kill -9 of anything, the next `start` finds what is left and goes on from there.
"""

import contextlib
import fcntl
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from schemas.progress import Progress, silent
from tuwen import kafka_broker
from tuwen.kafka_broker import HOST, POLL_S, READY_TIMEOUT_S, STOP_TIMEOUT_S, Compiler
from tuwen.local_kafka_errors import LocalKafkaError, NotReady, PortTaken
from tuwen.process_identity import ProcessIdentity, end, is_running

_LOCK_TIMEOUT_S: Final = READY_TIMEOUT_S + STOP_TIMEOUT_S
_START_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class RunningKafka:
    """A broker that runs: where to reach it, its process, and where it writes what it does."""

    bootstrap_servers: str
    pid: int
    log: Path


class _Started(msgspec.Struct, frozen=True):
    """The content of `broker.json`."""

    process: ProcessIdentity
    port: int
    controller_port: int


def start(
    state: Path,
    *,
    port: int | None = None,
    heap_mb: int = 512,
    compiler: Compiler = "quick",
    progress: Progress = silent,
) -> RunningKafka:
    """Start a broker, or give the one that this state folder already runs.

    Args:
        state: folder of the broker's own; made when it is not there.
        port: loopback port to listen on; None takes a free one, the last one where it can.
        heap_mb: largest heap of the Java process; 1024 for benchmarks.
        compiler: how hard Java compiles.
        progress: told of the download of jars and of the start.

    Raises:
        LocalKafkaError: see `tuwen.local_kafka_errors`.
    """
    state = state.absolute()
    with _exclusive(state):
        running = _answering(state)
        if running is not None and port in (None, running.port):
            return _shown(state, running)
        _end(state)
        command = kafka_broker.java_command(heap_mb, compiler, progress)
        for tries_left in reversed(range(_START_TRIES)):
            try:
                return _launch(state, command, _ports(state, port), progress)
            except PortTaken:
                # A free port may be taken between the look and the broker's own bind.
                if port is not None or not tries_left:
                    raise
    raise AssertionError("unreachable")


def stop(state: Path) -> bool:
    """End the broker of this state folder; False when none ran. Its topics are kept."""
    if not state.exists():
        return False
    with _exclusive(state.absolute()):
        return _end(state.absolute())


def erase(state: Path) -> None:
    """End the broker of this state folder, and forget its topics."""
    if state.exists():
        with _exclusive(state.absolute()):
            _end(state.absolute())
            shutil.rmtree(state / "log", ignore_errors=True)


def status(state: Path) -> RunningKafka | None:
    """Give the broker that this state folder runs; None when there is none, or it is dead."""
    started = _recorded(state.absolute())
    if started is None or not is_running(started.process):
        return None
    return _shown(state.absolute(), started)


def _shown(state: Path, started: _Started) -> RunningKafka:
    return RunningKafka(f"{HOST}:{started.port}", started.process.pid, state / "broker.log")


@contextlib.contextmanager
def _exclusive(state: Path) -> Iterator[None]:
    """Let one process at a time start or stop; the system lets go when the holder dies."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as held:
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotReady(
                        f"another process has been starting or stopping the Kafka of {state} "
                        f"for {_LOCK_TIMEOUT_S:.0f} s: wait for it, or end it"
                    ) from None
                time.sleep(POLL_S)
        yield


def _recorded(state: Path) -> _Started | None:
    try:
        return msgspec.json.decode((state / "broker.json").read_bytes(), type=_Started)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _answering(state: Path) -> _Started | None:
    started = _recorded(state)
    if started is None or not is_running(started.process):
        return None
    return started if kafka_broker.answers(started.port) else None


def _end(state: Path) -> bool:
    started = _recorded(state)
    ran = started is not None and is_running(started.process)
    if started is not None and ran and not end(started.process, STOP_TIMEOUT_S):
        raise LocalKafkaError(f"Kafka's process {started.process.pid} cannot be ended: end it")
    return ran


def _ports(state: Path, port: int | None) -> tuple[int, int]:
    """Choose the ports of broker and controller: as asked, as the last time, or any free ones."""
    if port is not None and not kafka_broker.becomes_free(port):
        raise PortTaken(f"port {port} is taken by another process: name another, or leave it out")
    last = _recorded(state)
    chosen = port or (
        last.port if last and kafka_broker.becomes_free(last.port) else kafka_broker.free_port()
    )
    if last and last.controller_port != chosen and kafka_broker.is_free(last.controller_port):
        return chosen, last.controller_port
    return chosen, kafka_broker.free_port()


def _launch(
    state: Path, command: list[str], ports: tuple[int, int], progress: Progress
) -> RunningKafka:
    progress("Apache Kafka", 0, 2, "formatting")
    kafka_broker.check_room(state)
    (state / "server.properties").write_text(
        kafka_broker.properties(state, *ports), encoding="utf-8"
    )
    kafka_broker.format_log(state, command)
    progress("Apache Kafka", 1, 2, "starting")
    started = _Started(
        kafka_broker.spawn(state, [*command, "kafka.Kafka", "server.properties"]), *ports
    )
    # Written before it is ready: whoever is killed now leaves a broker that can be found.
    (state / "broker.json").write_bytes(msgspec.json.encode(started))
    kafka_broker.await_ready(state, started.process, started.port)
    progress("Apache Kafka", 2, 2, f"{HOST}:{started.port}")
    return _shown(state, started)
