"""What can keep a local Kafka from running; each text says what happened and what to do.

LocalKafkaError
├── JavaMissing       no Java ≥ 17 on this machine
├── JarsUnavailable   Kafka's jars cannot be had, or are not those of the lock
├── PortTaken         the port asked for belongs to another process
├── DiskFull          too little room for the broker's log
└── NotReady          the broker ended, or did not answer in time
"""


class LocalKafkaError(Exception):
    """The local Kafka cannot run."""


class JavaMissing(LocalKafkaError):
    """There is no Java that can run Kafka."""


class JarsUnavailable(LocalKafkaError):
    """Kafka's jars cannot be had."""


class PortTaken(LocalKafkaError):
    """Another process listens on the port asked for."""


class DiskFull(LocalKafkaError):
    """There is too little room for the broker's log."""


class NotReady(LocalKafkaError):
    """The broker did not come up."""
