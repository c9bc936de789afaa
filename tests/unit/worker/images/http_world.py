"""A network of loopback: image hosts by name, and a source that may reach them alone."""

import ssl
from collections.abc import Sequence

from tests.image_hosts import Handler, Loopback, fixed
from worker.images.address_guard import guard
from worker.images.guarded_connections import Network
from worker.images.http_fetch import HttpBounds
from worker.images.http_source import HttpSource
from worker.images.sources import Unwatched

IMAGE = b"\xff\xd8\xff an image"
BYTES_MAX = 64 * 1024
BOUNDS = HttpBounds(
    timeout_s=3.0, bytes_max=BYTES_MAX, connections_max=16, connections_per_host_max=4
)


class Watching(Unwatched):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.took: list[str] = []
        self.left_alone = 0

    def fetches_took(self, scheme: str, seconds: Sequence[float]) -> None:
        """Note the scheme of each."""
        assert min(seconds) >= 0
        self.took += [scheme] * len(seconds)

    def hosts_left_alone(self, hosts: int) -> None:
        """Note how many."""
        self.left_alone = hosts


class World:
    """Hosts `*.test` on loopback, and a source that may reach them and nothing else."""

    def __init__(self, servers: Loopback) -> None:
        self.servers = servers
        self.watching = Watching()
        self.ports: list[int] = []
        self.sources: list[HttpSource] = []
        self.tls: ssl.SSLContext | None = None
        self.names = servers.names(
            fixed({f"{name}.test": ["127.0.0.1"] for name in ("good", "bad", "other", "dead")})
        )

    def host(self, name: str, handler: Handler, tls: ssl.SSLContext | None = None) -> str:
        """Let a host serve; gives what its references begin with."""
        port = self.servers.serve(handler, tls=tls)
        self.ports.append(port)
        return f"{'https' if tls else 'http'}://{name}.test:{port}"

    def source(self, bounds: HttpBounds = BOUNDS) -> HttpSource:
        """Make a source, once all hosts serve."""
        rules = guard("*.test", ",".join(map(str, self.ports or [80])), "127.0.0.0/8")
        network = Network([self.names.address], self.tls)
        source = HttpSource(rules, bounds, self.watching, "tuwen/test", network)
        self.sources.append(source)
        return source

    def close(self) -> None:
        """End all sources."""
        for source in self.sources:
            source.close()
