"""One Kafka broker as a process: its configuration, its start, and what it says when it fails.

A folder and two ports enter; a process that answers leaves, or an error that says why not.
"""

import os
import secrets
import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import Final, Literal

from schemas.progress import Progress
from tuwen import java, kafka_jars
from tuwen.local_kafka_errors import DiskFull, LocalKafkaError, NotReady, PortTaken
from tuwen.process_identity import ProcessIdentity, end, identify, is_running

HOST: Final = "127.0.0.1"
FREE_BYTES_MIN: Final = 512 * 2**20
READY_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 10.0
POLL_S: Final = 0.05
_FORMAT_TIMEOUT_S: Final = 60.0
# Below what systems give to outgoing connections: one of those may sit on the port of a broker
# that is down, and then it cannot come back to where its clients look for it.
_PORTS: Final = range(20_000, 30_000)
_PORT_TRIES: Final = 1_000
# What the sockets of a killed broker take to end after it.
_RELEASE_S: Final = 2.0

Compiler = Literal["quick", "full"]
"""`quick` starts in half the time and suits demo and tests; `full` suits benchmarks."""


def java_command(heap_mb: int, compiler: Compiler, progress: Progress) -> list[str]:
    """Give the start of every command that runs Kafka's classes; fetches them when needed."""
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


def check_room(state: Path) -> None:
    """Raise DiskFull where the log has no room to grow."""
    free = shutil.disk_usage(state).free
    if free < FREE_BYTES_MIN:
        raise DiskFull(
            f"{free // 2**20} MiB free at {state}, and Kafka needs {FREE_BYTES_MIN // 2**20}: "
            "free some space, or name another state folder"
        )


def format_log(state: Path, command: list[str]) -> None:
    """Make an empty log, unless there is one. Raises NotReady."""
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


def spawn(state: Path, command: list[str]) -> ProcessIdentity:
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


def await_ready(state: Path, process: ProcessIdentity, port: int) -> None:
    """Wait until the broker serves. Raises NotReady, PortTaken, DiskFull."""
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        if not is_running(process):
            raise _ended(state, port)
        if answers(port):
            return
        time.sleep(POLL_S)
    end(process, STOP_TIMEOUT_S)
    raise NotReady(
        f"Kafka did not answer within {READY_TIMEOUT_S:.0f} s: see {state / 'broker.log'}"
    )


def _ended(state: Path, port: int) -> LocalKafkaError:
    log = state / "broker.log"
    said = log.read_text(encoding="utf-8", errors="replace")
    if "Address already in use" in said:
        return PortTaken(
            f"port {port}, or the controller's, was taken while Kafka started: try again"
        )
    if "No space left on device" in said:
        return DiskFull(f"the disk of {state} is full: free some space and try again")
    errors = [line for line in said.splitlines() if "ERROR" in line or "Exception" in line]
    return NotReady(f"Kafka ended at its start: {(errors or ['no word of why'])[0]} (see {log})")


def answers(port: int) -> bool:
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


def is_free(port: int) -> bool:
    """Say whether a loopback port can be had."""
    with socket.socket() as probe:
        # As the broker itself does: what lingers of closed connections is not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def becomes_free(port: int) -> bool:
    """Say whether a loopback port can be had within a moment.

    A killed broker is gone before its sockets are: they end with the last of its threads.
    """
    deadline_s = time.monotonic() + _RELEASE_S
    while not is_free(port):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True


def free_port() -> int:
    """Find a loopback port that nobody has. Raises PortTaken when none is to be had."""
    for _ in range(_PORT_TRIES):
        port = secrets.choice(_PORTS)
        if is_free(port):
            return port
    raise PortTaken(f"no port is free between {_PORTS[0]} and {_PORTS[-1]}: name one")
