"""kafka-python's errors to the worker's: none of a client passes the seam."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

import kafka.errors as client

from worker.errors import BrokerError, MembershipLost, NotAuthorized, Unavailable
from worker.kafka.fences import taken

_MEMBERSHIP = (
    client.CommitFailedError,
    client.IllegalGenerationError,
    client.RebalanceInProgressError,
    client.UnknownMemberIdError,
)
Operation = Literal["Describe", "Create", "Read", "Write", "IdempotentWrite"]
"""What an ACL allows, in Kafka's words."""

_RESOURCES: Final[Mapping[type[client.KafkaError], tuple[str, Operation | None]]] = {
    client.TopicAuthorizationFailedError: ("topic", None),
    client.GroupAuthorizationFailedError: ("group", "Read"),
    client.TransactionalIdAuthorizationFailedError: ("transactional id", "Write"),
    client.ClusterAuthorizationFailedError: ("cluster", "IdempotentWrite"),
}
"""What kind of thing is forbidden, and which operation a worker needs on it."""


def translate(
    error: BaseException,
    doing: str,
    otherwise: type[BrokerError],
    operation: Operation = "Describe",
    name: str = "",
) -> BrokerError:
    """Say in the worker's words what went wrong while `doing`; `otherwise` when it is no word.

    `operation` is what a topic was needed for, `name` what the error is about if it does not say.
    """
    if isinstance(error, client.FencedInstanceIdError):
        return taken(name, doing)
    refused = _refused(error)
    if refused is not None:
        return _forbidden(refused, doing, operation, name)
    if isinstance(error, _MEMBERSHIP):
        return MembershipLost(f"{doing}: the group went on without this member ({error})")
    return otherwise(f"{doing}: {reason(error)}")


def _refused(error: BaseException) -> client.AuthorizationError | None:
    """Find a missing right in an error; the client wraps some of them, and one as text."""
    inner = error.args[0] if error.args else None
    for each in (error, inner):
        if isinstance(each, client.AuthorizationError):
            return each
    in_words = isinstance(error, client.KafkaError) and "ClusterAuthorizationFailed" in str(error)
    return client.ClusterAuthorizationFailedError() if in_words else None


def _forbidden(
    error: client.AuthorizationError, doing: str, operation: Operation, name: str
) -> NotAuthorized:
    kind, needed = _RESOURCES.get(type(error), ("resource", None))
    named = error.args[0] if error.args else ""
    names = named if isinstance(named, str) or not isinstance(named, Iterable) else ", ".join(named)
    return forbidden(kind, "" if kind == "cluster" else names or name, needed or operation, doing)


def forbidden(kind: str, name: str, operation: Operation, doing: str) -> NotAuthorized:
    """Say which right is missing, and how it is granted."""
    resource = f"{kind} {name}".strip()
    option = f"--{kind.replace(' ', '-')} {name}".strip()
    return NotAuthorized(
        resource,
        f"{doing}: the broker forbids {operation} on {resource}: grant it, as by "
        f"kafka-acls.sh --add --allow-principal User:… --operation {operation} {option}",
    )


def reason(error: BaseException) -> str:
    """Give an error's name and its text, if it has one."""
    text = str(error).removesuffix(": None").strip()
    name = type(error).__name__
    return text if text.startswith(name) else f"{name}: {text}" if text else name


@contextmanager
def translated(
    doing: str,
    otherwise: type[BrokerError] = Unavailable,
    operation: Operation = "Describe",
) -> Iterator[None]:
    """Translate what kafka-python raises inside."""
    try:
        yield
    except client.KafkaError as error:
        raise translate(error, doing, otherwise, operation) from error


def quieten() -> None:
    """Keep kafka-python's own log for those who ask for it by setting its level.

    It tells of each retry as an error; what matters reaches the operator through the seam.
    """
    log = logging.getLogger("kafka")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)
