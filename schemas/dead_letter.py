"""The dead letter: the record byte for byte, and in its headers why it could not be labelled.

Headers of the record itself come first, as they were. Then the names that Kafka Connect uses
(KIP-298), so that tools which know those can read ours, then tuwen's own.
"""

import re
from typing import Final

import msgspec

CONNECT_TOPIC: Final = b"__connect.errors.topic"
CONNECT_PARTITION: Final = b"__connect.errors.partition"
CONNECT_OFFSET: Final = b"__connect.errors.offset"
CONNECT_NAME: Final = b"__connect.errors.connector.name"
CONNECT_TASK: Final = b"__connect.errors.task.id"
CONNECT_STAGE: Final = b"__connect.errors.stage"
CONNECT_MESSAGE: Final = b"__connect.errors.exception.message"

REASON: Final = b"tuwen.reason"
DETAIL: Final = b"tuwen.detail"
MODEL: Final = b"tuwen.model"
OMITTED: Final = b"tuwen.omitted"
"""What of the record did not fit into the dead letter; it lies where the headers above say."""

REPLAYS: Final = b"tuwen.replays"
"""On a record that was put back: how often, this time included. It is the last of its own."""

DETAIL_CHARACTERS_MAX: Final = 500
_COUNT: Final = re.compile(rb"[1-9][0-9]{0,8}")

Headers = tuple[tuple[bytes, bytes | None], ...]


def split(headers: Headers) -> tuple[Headers, Headers]:
    """Part a dead letter's headers: those of the record, as they were, and those added to them.

    A record that was replayed and failed again carries the first failure's headers as its own.
    """
    for index in reversed(range(len(headers))):
        if headers[index][0] == CONNECT_TOPIC:
            return headers[:index], headers[index:]
    return headers, ()


def replays(own: Headers) -> int:
    """Say how often a record was put back, by its own headers."""
    return int(own[-1][1] or b"") if _is_counted(own) else 0


def counted(own: Headers) -> Headers:
    """Give a record's own headers as they go back: the same, and how often they have by then."""
    before = own[:-1] if _is_counted(own) else own
    return (*before, (REPLAYS, str(replays(own) + 1).encode()))


def _is_counted(own: Headers) -> bool:
    """Tell our counter from a producer's header of that name: it is last, and a small number."""
    return bool(own) and own[-1][0] == REPLAYS and _COUNT.fullmatch(own[-1][1] or b"") is not None


class Failure(msgspec.Struct, frozen=True, gc=False):
    """What the added headers say: which record it was, why, where, and under which model."""

    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    detail: str
    model: str


def omitted(headers: Headers) -> bool:
    """Whether something of the record did not fit, so that it is to be read where it lies."""
    return any(name == OMITTED for name, _ in split(headers)[1])


def failure(headers: Headers) -> Failure | None:
    """Read what was added; None where the headers are not those of a dead letter of tuwen."""
    facts = {
        name: value.decode("utf-8", "replace")
        for name, value in split(headers)[1]
        if value is not None
    }
    try:
        return Failure(
            facts[CONNECT_TOPIC],
            int(facts[CONNECT_PARTITION]),
            int(facts[CONNECT_OFFSET]),
            facts[CONNECT_STAGE],
            facts[REASON],
            facts[DETAIL],
            facts[MODEL],
        )
    except (KeyError, ValueError):
        return None
