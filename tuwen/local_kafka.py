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
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from schemas.progress import Progress, silent
from tuwen import java, kafka_jars
from tuwen.local_kafka_errors import DiskFull, LocalKafkaError, NotReady, PortTaken
from tuwen.process_identity import ProcessIdentity, end, identify, is_running

HOST: Final = "127.0.0.1"
FREE_BYTES_MIN: Final = 512 * 2**20
READY_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 10.0
_LOCK_TIMEOUT_S: Final = READY_TIMEOUT_S + STOP_TIMEOUT_S
_FORMAT_TIMEOUT_S: Final = 60.0
_START_TRIES: Final = 3
_POLL_S: Final = 0.05

Compiler = Literal["quick", "full"]
"""`quick` starts in half the time and suits demo and tests; `full` suits benchmarks."""


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
        command = _java_command(heap_mb, compiler, progress)
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
                time.sleep(_POLL_S)
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
    return started if _answers(started.port) else None


def _end(state: Path) -> bool:
    started = _recorded(state)
    ran = started is not None and is_running(started.process)
    if started is not None and ran and not end(started.process, STOP_TIMEOUT_S):
        raise LocalKafkaError(f"Kafka's process {started.process.pid} cannot be ended: end it")
    return ran


def _java_command(heap_mb: int, compiler: Compiler, progress: Progress) -> list[str]:
    # C1 alone warms up sooner, and takes less memory than C2 does.
    level = ["-XX:TieredStopAtLevel=1"] if compiler == "quick" else []
    return [
        str(java.find()),
        f"-Xms{min(256, heap_mb)}m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        *level,
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
        "-cp",
        os.pathsep.join(map(str, kafka_jars.fetch(progress=progress))),
    ]


def _ports(state: Path, port: int | None) -> tuple[int, int]:
    """Choose the ports of broker and controller: as asked, as the last time, or any free ones."""
    if port is not None and not _is_free(port):
        raise PortTaken(f"port {port} is taken by another process: name another, or leave it out")
    last = _recorded(state)
    chosen = port or (last.port if last and _is_free(last.port) else _free_port())
    if last and last.controller_port != chosen and _is_free(last.controller_port):
        return chosen, last.controller_port
    return chosen, _free_port()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the broker itself does: what lingers of closed connections is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _launch(
    state: Path, command: list[str], ports: tuple[int, int], progress: Progress
) -> RunningKafka:
    progress("Apache Kafka", 0, 2, "formatting")
    _check_room(state)
    (state / "server.properties").write_text(properties(state, *ports), encoding="utf-8")
    _format(state, command)
    progress("Apache Kafka", 1, 2, "starting")
    started = _Started(_spawn(state, [*command, "kafka.Kafka", "server.properties"]), *ports)
    # Written before it is ready: whoever is killed now leaves a broker that can be found.
    (state / "broker.json").write_bytes(msgspec.json.encode(started))
    _await_ready(state, started)
    progress("Apache Kafka", 2, 2, f"{HOST}:{started.port}")
    return _shown(state, started)


def _check_room(state: Path) -> None:
    free = shutil.disk_usage(state).free
    if free < FREE_BYTES_MIN:
        raise DiskFull(
            f"{free // 2**20} MiB free at {state}, and Kafka needs {FREE_BYTES_MIN // 2**20}: "
            "free some space, or name another state folder"
        )


def properties(state: Path, port: int, controller_port: int) -> str:
    """Give the broker's configuration: one node that is broker and controller at once."""
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.bootstrap.servers": f"{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": state / "log",
        # A topic that nobody made is an error to be seen.
        "auto.create.topics.enable": "false",
        # After a kill -9 the next start waits until this has passed since the last heartbeat.
        "broker.session.timeout.ms": 4500,
        "broker.heartbeat.interval.ms": 1000,
        # The first member of a group need not wait for others.
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.num.partitions": 8,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _format(state: Path, command: list[str]) -> None:
    if (state / "log" / "meta.properties").exists():
        return
    asked = [*command, "kafka.tools.StorageTool", "format", "--standalone", "--ignore-formatted"]
    # Any name of 16 bytes in URL-safe base 64 will do: nothing else joins this cluster.
    identity = ["-t", "dHV3ZW4tbG9jYWwta2Fma2E", "-c", "server.properties"]
    try:
        subprocess.run(
            [*asked, *identity],
            cwd=state,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FORMAT_TIMEOUT_S,
            check=True,
        )
    except subprocess.CalledProcessError as failure:
        said = (failure.stderr + failure.stdout).strip().splitlines()
        raise NotReady(f"Kafka cannot format {state / 'log'}: {' '.join(said[:3])}") from failure
    except subprocess.TimeoutExpired as failure:
        raise NotReady(f"Kafka took over {_FORMAT_TIMEOUT_S:.0f} s to format {state}") from failure


def _spawn(state: Path, command: list[str]) -> ProcessIdentity:
    """Start a process that is nobody's child: it is no zombie when it ends before we do."""
    launched = subprocess.run(
        ["/bin/sh", "-c", '"$@" </dev/null >broker.log 2>&1 & echo $!', "sh", *command],
        cwd=state,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    pid = int(launched.stdout)
    # A process that has ended already has no start: the wait for readiness says so.
    return identify(pid) or ProcessIdentity(pid, "ended")


def _await_ready(state: Path, started: _Started) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if not is_running(started.process):
            raise _ended(state, started)
        if _answers(started.port):
            return
        time.sleep(_POLL_S)
    end(started.process, STOP_TIMEOUT_S)
    raise NotReady(
        f"Kafka did not answer within {READY_TIMEOUT_S:.0f} s: see {state / 'broker.log'}"
    )


def _ended(state: Path, started: _Started) -> LocalKafkaError:
    log = state / "broker.log"
    said = log.read_text(encoding="utf-8", errors="replace")
    if "Address already in use" in said:
        return PortTaken(
            f"port {started.port} or {started.controller_port} was taken while Kafka started: "
            "try again"
        )
    if "No space left on device" in said:
        return DiskFull(f"the disk of {state} is full: free some space and try again")
    errors = [line for line in said.splitlines() if "ERROR" in line or "Exception" in line]
    return NotReady(f"Kafka ended at its start: {(errors or ['no word of why'])[0]} (see {log})")


def _answers(port: int) -> bool:
    """Ask for the API versions: the one request that every broker answers, once it serves."""
    client = b"tuwen"
    # ApiVersions, version 0, correlation id 1: https://kafka.apache.org/protocol
    body = struct.pack(">hhih", 18, 0, 1, len(client)) + client
    try:
        with socket.create_connection((HOST, port), timeout=2.0) as connection:
            connection.sendall(struct.pack(">i", len(body)) + body)
            answer = connection.recv(8, socket.MSG_WAITALL)
    except OSError:
        return False
    return len(answer) == 8 and struct.unpack(">ii", answer)[1] == 1
