"""kafka-python's errors to the worker's: none of a client passes the seam."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import kafka.errors as client

from worker.errors import BrokerError, MembershipLost, NotAuthorized, SlotTaken, Unavailable

_MEMBERSHIP = (
    client.CommitFailedError,
    client.IllegalGenerationError,
    client.RebalanceInProgressError,
    client.UnknownMemberIdError,
)
_RESOURCES = {
    client.TopicAuthorizationFailedError: "topic",
    client.GroupAuthorizationFailedError: "group",
    client.TransactionalIdAuthorizationFailedError: "transactional id",
    client.ClusterAuthorizationFailedError: "cluster",
}


def translate(error: BaseException, doing: str, otherwise: type[BrokerError]) -> BrokerError:
    """Say in the worker's words what went wrong while `doing`; `otherwise` when it is no word."""
    if isinstance(error, client.FencedInstanceIdError):
        return SlotTaken(f"{doing}: another process runs under this slot's id; stop one of them")
    if isinstance(error, client.AuthorizationError):
        return _forbidden(error, doing)
    if isinstance(error, _MEMBERSHIP):
        return MembershipLost(f"{doing}: the group went on without this member ({error})")
    return otherwise(f"{doing}: {reason(error)}")


def _forbidden(error: client.AuthorizationError, doing: str) -> NotAuthorized:
    kind = _RESOURCES.get(type(error), "resource")
    named = error.args[0] if error.args else ""
    names = named if isinstance(named, str) or not isinstance(named, Iterable) else ", ".join(named)
    resource = f"{kind} {names}".strip()
    return NotAuthorized(resource, f"{doing}: the broker forbids {resource}; grant it in its ACLs")


def reason(error: BaseException) -> str:
    """Give an error's name and its text, if it has one."""
    text = str(error).removesuffix(": None").strip()
    name = type(error).__name__
    return text if text.startswith(name) else f"{name}: {text}" if text else name


@contextmanager
def translated(doing: str, otherwise: type[BrokerError] = Unavailable) -> Iterator[None]:
    """Translate what kafka-python raises inside."""
    try:
        yield
    except client.KafkaError as error:
        raise translate(error, doing, otherwise) from error


def quieten() -> None:
    """Keep kafka-python's own log for those who ask for it by setting its level.

    It tells of each retry as an error; what matters reaches the operator through the seam.
    """
    log = logging.getLogger("kafka")
    if log.level == logging.NOTSET:
        log.setLevel(logging.CRITICAL)


class _LastWords(logging.Handler):
    """Remembers the newest message."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.words = ""

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        # "Bootstrap failed" only says that time was up; what came before says why.
        if not self.words or not words.startswith("Bootstrap failed"):
            self.words = words


@contextmanager
def last_words() -> Iterator[_LastWords]:
    """Listen to kafka-python's log: why a connection failed is only ever said there."""
    log = logging.getLogger("kafka.net.manager")
    listener = _LastWords()
    level, propagate = log.level, log.propagate
    log.addHandler(listener)
    log.setLevel(logging.ERROR)
    log.propagate = propagate and logging.getLogger("kafka").isEnabledFor(logging.ERROR)
    try:
        yield listener
    finally:
        log.removeHandler(listener)
        log.setLevel(level)
        log.propagate = propagate
