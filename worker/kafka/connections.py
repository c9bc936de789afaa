"""Make a kafka-python client that is connected, or say which address does not answer, and why."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import kafka.errors as client
from kafka.net.compat import KafkaNetClient
from kafka.net.inet import create_connection
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from worker.errors import LinkFileRefused, LinkRefused, Unavailable
from worker.kafka.client_errors import Operation, reason, translated
from worker.kafka.link_files import client_config, secret
from worker.kafka.refusals import hung_up, refusal
from worker.link_settings import SecuritySettings


def connected(
    make: Callable[..., Any], config: Mapping[str, Any], servers: str, security: SecuritySettings
) -> Any:
    """Make a client of Kafka.

    Raises:
        LinkFileRefused: a file of the link's security cannot be used.
        LinkRefused: somebody answers, and one of both does not trust the other.
        Unavailable: nobody answers at the address.
    """
    managers: list[Connections] = []

    def remembered(**kwargs: Any) -> KafkaNetClient:
        net = NetworkSelector(**kwargs)
        managers.append(Connections(net, security, **kwargs))
        return KafkaNetClient(net=net, manager=managers[-1], **kwargs)

    trusting = client_config(security)
    try:
        return make(**config, **trusting, kafka_client=remembered)
    except (client.KafkaError, OSError, ValueError) as error:
        failure = next((m.failure for m in managers if m.failure is not None), error)
        for manager in managers:  # A client that failed to start leaves its sockets, its thread.
            manager.close()
            manager.net.close()
        raise unreachable(failure, servers, security) from error


def unreachable(failure: BaseException, servers: str, security: SecuritySettings) -> Unavailable:
    """Say why there is no connection, and what to do."""
    refused = refusal(failure, security)
    if refused:
        return LinkRefused(f"Kafka at {servers}: {refused}")
    why = hung_up(failure, security) or reason(failure)
    return Unavailable(
        f"no Kafka answers at {servers} ({why}): "
        "start it, or name another with TUWEN_BOOTSTRAP_SERVERS"
    )


def distrust(manager: Any) -> LinkRefused | None:
    """Give the refusal that keeps a client's connections from being made, if one does."""
    if not isinstance(manager, Connections) or manager.failure is None:
        return None
    try:
        client_config(manager.security)
    except LinkFileRefused as file_refused:
        return file_refused
    refused = refusal(manager.failure, manager.security)
    servers = manager.config["bootstrap_servers"]
    return LinkRefused(f"Kafka at {','.join(servers)}: {refused}") if refused else None


@contextmanager
def answered(manager: Any, doing: str, operation: Operation = "Describe") -> Iterator[None]:
    """Translate what kafka-python raises inside; where trust is what is missing, say so."""
    try:
        with translated(doing, operation=operation):
            yield
    except Unavailable as error:
        refused = distrust(manager)
        if refused is None:
            raise
        raise refused from error


class Connections(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types.
    """kafka-python's connections, which forget why they failed; `failure` is the last reason.

    A password is read anew for each of them, as kafka-python itself reads certificates anew.
    """

    def __init__(self, net: Any, security: SecuritySettings, **config: Any) -> None:
        super().__init__(net, **config)
        self.net = net
        self.security = security
        self.failure: BaseException | None = None
        self._met = False

    def get_connection(self, node_id: Any, **options: Any) -> Any:
        """Begin no second connection where the first one's password was refused.

        Who tries again and again is locked out. Once a broker has believed it, it may come to do
        so again.
        """
        if not self._met and isinstance(self.failure, client.SaslAuthenticationFailedError):
            raise self.failure
        return super().get_connection(node_id, **options)

    async def _connect(self, node: Any, conn: Any, **options: Any) -> None:
        if self.security.uses_sasl:
            with suppress(LinkFileRefused):  # then the password is the one that was known before.
                conn.config["sasl_plain_password"] = secret(self.security, "sasl_password")
        conn.init_future.add_callback(self._note_success)
        conn.close_future.add_errback(self._note_failure)
        before = self._backoff.get(node.node_id)
        await super()._connect(node, conn, **options)
        if conn.init_future.failed():
            self._wait_longer(node.node_id, before)

    def _wait_longer(self, node_id: Any, before: Any) -> None:
        """Wait longer with each failure: kafka-python takes a refused password for a success."""
        if before is not None:
            self._backoff[node_id] = before
        self.update_backoff(node_id)

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:
        """Do as kafka-python does, but bound the handshake, and close the socket when it fails."""
        options, proxy = self.config["socket_options"], self.config["proxy_url"]
        where = (node.host, node.port, options, proxy)
        sock = await create_connection(self._net, *where, timeout_at=timeout_at)
        try:
            transport = self._transport(sock, node.host)
        except OSError as error:  # a file of TLS that is being replaced
            sock.close()
            raise client.KafkaConnectionError(f"the files of TLS cannot be used: {error}") from None
        try:
            left_ms = None if timeout_at is None else (timeout_at - time.monotonic()) * 1_000
            await self.wait_for(self.call_soon(transport.handshake), left_ms)
        except client.KafkaTimeoutError:
            transport.close()
            raise client.KafkaConnectionError("the handshake of TLS timed out") from None
        except OSError as error:
            transport.close()
            raise client.KafkaConnectionError(f"Handshake failed: {error}") from error
        transport._sock_recv = _last_words_first(transport._sock_recv)  # noqa: SLF001 -- no hook.
        return transport

    def _transport(self, sock: Any, host: str) -> Any:
        if not self.security.uses_tls:
            return KafkaTCPTransport(self._net, sock, host=host)
        trusting = {name: value for name, value in self.config.items() if name.startswith("ssl_")}
        with suppress(LinkFileRefused):
            trusting["ssl_password"] = secret(self.security, "tls_key_password") or ""
        return KafkaSSLTransport(self._net, sock, host=host, **trusting)

    def _note_success(self, _connected: bool) -> None:  # noqa: FBT001 -- the client's callback.
        self.failure, self._met = None, True

    def _note_failure(self, failure: BaseException) -> None:
        # The time for the last attempt may be up before it can fail for the true reason.
        if self.failure is None or "timed out" not in str(failure):
            self.failure = failure


def _last_words_first(receive: Callable[[], tuple[bytes, Any]]) -> Callable[[], tuple[bytes, Any]]:
    """Let what came together with the end of a connection be heard before the end.

    A broker says that it refuses a password and hangs up; kafka-python throws away what it said.
    """
    ends: list[Any] = []

    def receive_in_order() -> tuple[bytes, Any]:
        if ends:
            return b"", ends.pop()
        content, end = receive()
        if content and end:
            ends.append(end)
            return content, None
        return content, end

    return receive_in_order
