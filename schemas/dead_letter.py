"""The dead letter: the record byte for byte, and in its headers why it could not be labelled.

Headers of the record itself come first, as they were. Then the names that Kafka Connect uses
(KIP-298), so that tools which know those can read ours, then tuwen's own.
"""

from typing import Final

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

DETAIL_CHARACTERS_MAX: Final = 500

Headers = tuple[tuple[bytes, bytes | None], ...]


def split(headers: Headers) -> tuple[Headers, Headers]:
    """Part a dead letter's headers: those of the record, as they were, and those added to them.

    A record that was replayed and failed again carries the first failure's headers as its own.
    """
    for index in reversed(range(len(headers))):
        if headers[index][0] == CONNECT_TOPIC:
            return headers[:index], headers[index:]
    return headers, ()
