"""The topics of one run, and the names of what is in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

CREATE_S: Final = 30.0
CLIENT: Final[Mapping[str, str | int]] = {
    "reconnect.backoff.max.ms": 500,
    # What happens to a broker is told by the scenario: critical is what is left to say.
    "log_level": 2,
}
"""What every client of the tests is told: it outlasts a broker, and says little."""


@dataclass(frozen=True)
class Topics:
    """The three topics of one run."""

    servers: str
    name: str
    partitions: int = 8

    @property
    def posts(self) -> str:
        """Where posts go in."""
        return f"{self.name}.posts"

    @property
    def verdicts(self) -> str:
        """Where labels come out."""
        return f"{self.name}.verdicts"

    @property
    def dead_letters(self) -> str:
        """Where the rest comes out."""
        return f"{self.name}.dead-letters"

    def create(self, **bytes_max: int) -> None:
        """Make them; a limit of `posts`, `verdicts` or `dead_letters` is of one batch, in bytes."""
        wanted = []
        for kind in ("posts", "verdicts", "dead_letters"):
            limit = {"max.message.bytes": str(bytes_max[kind])} if kind in bytes_max else {}
            wanted.append(NewTopic(getattr(self, kind), self.partitions, 1, config=limit))
        admin = AdminClient({"bootstrap.servers": self.servers, **CLIENT})
        for made in admin.create_topics(wanted, request_timeout=CREATE_S).values():
            made.result(CREATE_S)
