"""What a Kafka client of the worker must know; checked once, so that its timeouts nest."""

import itertools
from dataclasses import dataclass
from typing import Final, Literal

from worker.link_settings import SecuritySettings

Delivery = Literal["exactly-once", "at-least-once"]


BLIND: Final = SecuritySettings()
"""Trust whoever is there, as on the local Kafka."""


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Where Kafka is, who this client is, how long it waits, and whom it trusts.

    `slot_id` is stable per slot of an instance: it is the transactional id, so that a restarted
    worker fences and aborts what its dead self left open, and the `group.instance.id`, so that it
    takes its dead self's place in the group. `topic` is the one that is consumed;
    `written_topics` are looked at when it connects, whether they may be written.
    The timeouts nest: a record is given up before its transaction is, a transaction before its
    member is. Else a broker that comes back finds a transaction whose owner is gone.

    `metadata_max_age_ms` is how long a change of the topic may stay unseen.

    Raises ValueError, naming both settings, when they do not nest.
    """

    bootstrap_servers: str
    group: str
    topic: str
    slot_id: str
    delivery: Delivery = "exactly-once"
    request_timeout_ms: int = 5_000
    delivery_timeout_ms: int = 6_000
    transaction_timeout_ms: int = 10_000
    session_timeout_ms: int = 15_000
    max_poll_interval_ms: int = 30_000
    metadata_max_age_ms: int = 30_000
    security: SecuritySettings = BLIND
    written_topics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nested = (
            "request_timeout_ms",
            "delivery_timeout_ms",
            "transaction_timeout_ms",
            "session_timeout_ms",
            "max_poll_interval_ms",
        )
        for inner, outer in itertools.pairwise(nested):
            if getattr(self, inner) >= getattr(self, outer):
                raise ValueError(
                    f"{inner} ({getattr(self, inner)}) must be less than "
                    f"{outer} ({getattr(self, outer)}): lower the one or raise the other"
                )
