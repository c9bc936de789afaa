"""The topics of one run, and the names of what is in them."""

from dataclasses import dataclass

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

CREATE_S = 30.0


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
        admin = AdminClient({"bootstrap.servers": self.servers})
        for made in admin.create_topics(wanted, request_timeout=CREATE_S).values():
            made.result(CREATE_S)
