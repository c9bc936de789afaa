"""What can go wrong in a worker; nothing of a Kafka client passes the broker seam.

BrokerError
├── Unavailable          no answer in time; ask again later
│   └── LinkRefused      somebody answers, and one of both does not trust the other
│       └── LinkFileRefused  a certificate, key or password is not in its file
├── TransactionAborted   nothing of the transaction was committed (settle, offsets)
├── InDoubt              committed or not: read `committed` again (commit, abort)
├── MembershipLost       the group has gone on without this member (offsets, mark)
├── SlotTaken            another process runs under this slot's id
├── NotAuthorized        the broker forbids it
├── UnknownTopic         there is no such topic
├── TopicMadeAnew        the topic was deleted, and another one has its name
├── OffsetOutOfRange     the committed offset is no longer, or not yet, in the log
└── Undecodable          a batch of the log cannot be decoded
"""

from worker.messages import Partition


class BrokerError(Exception):
    """Something between the worker and Kafka went wrong; the text says what to do."""


class Unavailable(BrokerError):
    """The broker did not answer in time."""


class LinkRefused(Unavailable):
    """Broker and client refuse each other: TLS, a certificate, a user, a password."""


class LinkFileRefused(LinkRefused):
    """A file that a setting names is missing, or does not hold what it should."""


class TransactionAborted(BrokerError):
    """Nothing of the transaction was committed; it may be sent again, by a new one."""


class InDoubt(BrokerError):
    """Whether the transaction was committed is unknown; the committed offsets tell."""


class MembershipLost(BrokerError):
    """The membership that vouched for these offsets is no longer valid."""


class SlotTaken(BrokerError):
    """Another process runs under the same slot."""


class NotAuthorized(BrokerError):
    """The broker forbids the use of `resource`."""

    def __init__(self, resource: str, message: str) -> None:
        super().__init__(message)
        self.resource = resource


class UnknownTopic(BrokerError):
    """There is no topic `topic`."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"topic {topic!r} does not exist: create it with `tuwen topics create`, or name another"
        )
        self.topic = topic


class TopicMadeAnew(BrokerError):
    """Topic `topic` is another one than it was."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"topic {topic!r} was deleted and made anew while it was read: what was not read of "
            "the old one is gone, and its offsets mean nothing in the new one; start again, to "
            "read that one from its beginning"
        )
        self.topic = topic


class OffsetOutOfRange(BrokerError):
    """`offset`, to be read next of `partition`, is not in its log.

    `first` and `end` are where the log begins and ends; both None where nobody answered.
    """

    def __init__(
        self, partition: Partition, offset: int, first: int | None = None, end: int | None = None
    ) -> None:
        self.deleted = max(0, first - offset) if first is not None else 0
        """How many offsets from `offset` on are gone from the beginning of the log."""
        super().__init__(
            f"{partition.topic}/{partition.number} cannot be read from offset {offset} on: "
            f"{_why_not(first, end, self.deleted)}; the partition stops there, the others go on. "
            f"{_how_to_go_on(partition, self.deleted)}"
        )
        self.partition = partition
        self.offset = offset
        self.first = first
        self.end = end


def _why_not(first: int | None, end: int | None, deleted: int) -> str:
    if deleted:
        return f"it was deleted before it was read, the log begins at {first} now"
    if end is None:
        return "the log does not hold it"
    return f"the log ends at {end}: its topic was made anew, or a broker has lost records"


def _how_to_go_on(partition: Partition, deleted: int) -> str:
    if deleted:
        return (
            f"To leave those {deleted} offsets out, start the workers with "
            'on_deleted_unread = "skip"'
        )
    return (
        "To read it from elsewhere, stop all workers and set the group's offset: "
        f"kafka-consumer-groups.sh --topic {partition.topic}:{partition.number} --reset-offsets …"
    )


class Undecodable(BrokerError):
    """The batch of `partition` at `offset` cannot be decoded; nothing after it is read."""

    def __init__(self, partition: Partition, offset: int, message: str) -> None:
        super().__init__(message)
        self.partition = partition
        self.offset = offset
