"""What both halves of the adapter tell the client, whose own defaults would lose or delay posts."""

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from worker.kafka.client_settings import ClientSettings
from worker.kafka.kafka_consumer import consumer_config
from worker.kafka.kafka_producer import producer_config

SETTINGS = ClientSettings("127.0.0.1:9092", "tuwen", "tuwen.posts", "tuwen-host-0")
CONSUMER = consumer_config(SETTINGS)
PRODUCER = producer_config(SETTINGS, 4_000)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("enable_auto_commit", False),
        ("auto_offset_reset", "earliest"),
        ("isolation_level", "read_committed"),
        ("partition_assignment_strategy", (CooperativeStickyAssignor,)),
        ("group_instance_id", "tuwen-host-0"),
        ("request_timeout_ms", 5_000),
        ("session_timeout_ms", 15_000),
        ("max_poll_interval_ms", 30_000),
        ("retry_backoff_ms", 20),
        ("reconnect_backoff_max_ms", 1_000),
    ],
)
def test_a_default_of_the_consumer_is_overridden(name: str, expected: object) -> None:
    """And the client would have done something else."""
    assert CONSUMER[name] == expected
    assert KafkaConsumer.DEFAULT_CONFIG[name] != expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("transactional_id", "tuwen-host-0"),
        ("request_timeout_ms", 5_000),
        ("delivery_timeout_ms", 6_000),
        ("transaction_timeout_ms", 10_000),
        ("retry_backoff_ms", 20),
        ("reconnect_backoff_max_ms", 1_000),
    ],
)
def test_a_default_of_the_producer_is_overridden(name: str, expected: object) -> None:
    """As above."""
    assert PRODUCER[name] == expected
    assert KafkaProducer.DEFAULT_CONFIG[name] != expected


def test_the_client_takes_the_delivery_timeout() -> None:
    """It refuses one that is below what a record may linger and a request may take."""
    inner_ms = PRODUCER["linger_ms"] + PRODUCER["request_timeout_ms"]
    assert inner_ms <= PRODUCER["delivery_timeout_ms"]
