"""A Kafka of a scenario's own, to do harm to: stopped, killed, frozen, or put on a small disk.

It has a second listener, which tells clients an address that the scenario chooses: a proxy's.
"""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from schemas.progress import silent
from tuwen import kafka_broker
from tuwen.kafka_broker import HOST, STOP_TIMEOUT_S
from tuwen.process_identity import ProcessIdentity, end, is_running

HEAP_MB: Final = 512
EVERY: Final = (
    "listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{proxied},CONTROLLER://{host}:{controller}\n"
    "advertised.listeners=PLAINTEXT://{host}:{port},PROXIED://{host}:{advertised}\n"
    "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
)


class OwnKafka:
    """One broker on ports that it keeps, its log in a folder."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        ports: set[int] = set()
        while len(ports) < 4:
            ports.add(kafka_broker.free_port())
        self.port, self.proxied_port, self.proxy_port, self._controller = ports
        self._command = kafka_broker.java_command(HEAP_MB, "quick", silent)
        self._process: ProcessIdentity | None = None
        self._write(settings)

    @property
    def servers(self) -> str:
        """Where it is reached, past any proxy."""
        return f"{HOST}:{self.port}"

    @property
    def proxied_servers(self) -> str:
        """Where a proxy is to stand: before `proxied_port`."""
        return f"{HOST}:{self.proxy_port}"

    def start(self) -> None:
        """Start it, again with all that it had, and wait until it serves."""
        for port in (self.port, self.proxied_port, self._controller):
            kafka_broker.becomes_free(port)
        kafka_broker.format_log(self._folder, self._command)
        self._process = kafka_broker.spawn(
            self._folder, [*self._command, "kafka.Kafka", "server.properties"]
        )
        kafka_broker.await_ready(self._folder, self._process, self.port)

    def stop(self) -> None:
        """Stop it as an operator does."""
        if self._process is not None:
            self.thaw()
            end(self._process, STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it without a word."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Have it answer nothing, with all connections open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def runs(self) -> bool:
        """Say whether its process is there."""
        return self._process is not None and is_running(self._process)

    def said(self) -> str:
        """Give what it logged since its last start."""
        return (self._folder / "broker.log").read_text(errors="replace")

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "it was not started"
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def _write(self, settings: Mapping[str, object]) -> None:
        own = EVERY.format(
            host=HOST,
            port=self.port,
            proxied=self.proxied_port,
            advertised=self.proxy_port,
            controller=self._controller,
        )
        local = kafka_broker.properties(self._folder, self.port, self._controller)
        more = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self._folder / "server.properties").write_text(local + own + more, encoding="utf-8")


@contextmanager
def own_kafka(folder: Path, settings: Mapping[str, object] | None = None) -> Iterator[OwnKafka]:
    """Run one in this folder, and end it whatever happened."""
    kafka = OwnKafka(folder, settings or {})
    try:
        kafka.start()
        yield kafka
    finally:
        kafka.stop()
