"""How long a worker waits for Kafka and Kafka for it, and how it stops.

Frozen values that fit together; `worker.settings` gathers them with all others.
"""

from itertools import pairwise
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

NESTING: Final = (
    "request_timeout_ms",
    "delivery_timeout_ms",
    "transaction_timeout_ms",
    "session_timeout_ms",
    "max_poll_interval_ms",
)


class TimeoutSettings(BaseModel):
    """The timeouts; each ends before the one around it does."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    request_timeout_ms: int = Field(
        default=5_000,
        # Kafka's client needs more than the 200 ms that a fetch waits, and less than the 9 min
        # after which it closes an idle connection.
        ge=250,
        le=500_000,
        description="How long one request to a broker may take. The innermost of the timeouts: "
        "request < delivery < transaction < session < max_poll_interval.",
    )
    delivery_timeout_ms: int = Field(
        default=6_000,
        ge=100,
        le=600_000,
        description="How long a record may take to be written, retries included: more than one "
        "request, less than the transaction. Batches are handed over whole, nothing lingers.",
    )
    transaction_timeout_ms: int = Field(
        default=10_000,
        ge=1_000,
        le=900_000,
        description="When the broker aborts a transaction left open. A worker that never comes "
        "back holds readers up for this long, and some 10 s.",
    )
    session_timeout_ms: int = Field(
        default=15_000,
        ge=6_000,
        le=1_800_000,
        description="When a silent worker loses its partitions: a dead machine's posts wait for "
        "this long. The broker's default bounds are 6 s and 30 min.",
    )
    max_poll_interval_ms: int = Field(
        default=30_000,
        ge=1_000,
        le=3_600_000,
        description="When a worker that is alive but stuck loses its partitions; also how long "
        "a joining worker may wait for the others.",
    )
    stop_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="How long a stopping worker may take to finish and commit; 5 s later it is "
        "ended. Keep the supervisor's own patience above the sum.",
    )
    leave_on_stop: bool = Field(
        default=True,
        description="true: a stopped worker's partitions move to others at once. false: they wait "
        "for its return, for session_timeout_ms at most; for rolling restarts that move none.",
    )

    @model_validator(mode="after")
    def _timeouts_nest(self) -> Self:
        """Each wait ends before the one around it does, or a record is lost between them."""
        for inner, outer in pairwise(NESTING):
            self._needs_less(inner, outer)
        return self

    def _needs_less(self, inner: str, outer: str) -> None:
        if getattr(self, inner) >= getattr(self, outer):
            raise ValueError(
                f"{inner} ({getattr(self, inner)}) must be less than {outer} "
                f"({getattr(self, outer)}): timeouts nest, request < delivery < transaction < "
                "session < max_poll_interval"
            )
