import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.messages import Outcome, Outgoing, Partition, Record
from worker.metrics import BatchHistogram, Metrics

PARTITION = Partition("tuwen.posts", 3)


def outcome(
    label: str | None, confidence: float | None, reason: Reason | None, timestamp_ms: int = 0
) -> Outcome:
    """An outcome of which only the counted parts matter."""
    record = Record(PARTITION, 0, None, b"", (), timestamp_ms)
    return Outcome(record, Outgoing("t", None, None, b"", (), 0), label, confidence, reason)


@pytest.fixture
def registry() -> CollectorRegistry:
    """One for each test."""
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> Metrics:
    """The metrics under test, shown through `registry`."""
    return Metrics(registry)


def test_outcomes_are_counted_by_what_they_are(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """Posts by outcome, labels and none, reasons of rejects and of missing modalities."""
    metrics.outcomes(
        [
            outcome("积极", 0.9, None),
            outcome("积极", 0.6, Reason.NO_IMAGE),
            outcome("消极", 0.7, None),
            outcome(None, 0.4, Reason.NO_IMAGE),
            outcome(None, None, Reason.MALFORMED_JSON),
        ],
        now_ms=0,
    )
    counted = {
        (sample.name, *sample.labels.values()): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.endswith("_total") and sample.value
    }
    assert counted == {
        ("tuwen_posts_total", "verdict"): 4,
        ("tuwen_posts_total", "dead-letter"): 1,
        ("tuwen_labels_total", "积极"): 2,
        ("tuwen_labels_total", "消极"): 1,
        ("tuwen_abstentions_total",): 1,
        ("tuwen_missing_total", "no-image"): 2,
        ("tuwen_rejects_total", "malformed-json"): 1,
    }


def test_confidence_and_delay_are_of_verdicts_alone(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """A dead letter has no confidence, and does not count as a fast verdict."""
    metrics.outcomes(
        [
            outcome("a", 0.9, None, 1000),
            outcome(None, 0.4, None, 1250),
            outcome(None, None, Reason.NO_CONTENT, 1000),
        ],
        now_ms=1500,
    )
    assert registry.get_sample_value("tuwen_confidence_count") == 2
    assert registry.get_sample_value("tuwen_post_to_verdict_seconds_count") == 2
    assert registry.get_sample_value("tuwen_post_to_verdict_seconds_sum") == 0.75


def test_a_post_from_the_future_took_no_time(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Producers' clocks run ahead; a negative sum would look like a restart."""
    metrics.outcomes([outcome("a", 0.9, None, 5000)], now_ms=1000)
    assert registry.get_sample_value("tuwen_post_to_verdict_seconds_sum") == 0


@given(st.lists(st.floats(0, 1e4), max_size=50))
def test_a_batch_is_observed_as_its_values_one_by_one(values: list[float]) -> None:
    """The batched histogram differs from the library's own in speed alone, bounds included."""
    at_once, one_by_one = CollectorRegistry(), CollectorRegistry()
    bounds = (0.5, 1, 2, 1000)
    BatchHistogram("h", "h", buckets=bounds, registry=at_once).observe_many([*values, 0.5, 1])
    single = Histogram("h", "h", buckets=bounds, registry=one_by_one)
    for value in [*values, 0.5, 1]:
        single.observe(value)
    for bound in ("0.5", "1.0", "2.0", "1000.0", "+Inf"):
        labels = {"le": bound}
        assert at_once.get_sample_value("h_bucket", labels) == one_by_one.get_sample_value(
            "h_bucket", labels
        )
    assert at_once.get_sample_value("h_sum") == pytest.approx(one_by_one.get_sample_value("h_sum"))


def test_stages_show_time_and_size_of_batches(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """Seconds and records, by stage."""
    metrics.stage("fetch", 0.25, 32)
    metrics.stage("fetch", 0.25, 16)
    assert registry.get_sample_value("tuwen_stage_seconds_sum", {"stage": "fetch"}) == 0.5
    assert registry.get_sample_value("tuwen_batch_records_sum", {"stage": "fetch"}) == 48


def test_a_partition_that_was_given_back_is_not_shown(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """Its lag is another worker's to tell; forgetting one never shown is no fault."""
    labels = {"topic": "tuwen.posts", "partition": "3"}
    shown = {
        "tuwen_lag_records": 7,
        "tuwen_uncommitted_seconds": 1.5,
        "tuwen_stable_offset_stuck_seconds": 2.5,
    }
    metrics.lag(PARTITION, 7, 1.5, 2.5)
    assert {name: registry.get_sample_value(name, labels) for name in shown} == shown
    metrics.forget(PARTITION)
    metrics.forget(PARTITION)
    assert [registry.get_sample_value(name, labels) for name in shown] == [None] * 3


def test_transactions_rebalances_and_queues_are_shown(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """Each under the name that dashboards and alerts use."""
    metrics.transaction("committed", 0.02)
    metrics.rebalance("lost", 4)
    metrics.assigned(2)
    metrics.queue("inbox", 5)
    found = {
        name: registry.get_sample_value(name, labels)
        for name, labels in (
            ("tuwen_transactions_total", {"outcome": "committed"}),
            ("tuwen_transaction_seconds_sum", {}),
            ("tuwen_rebalances_total", {"kind": "lost"}),
            ("tuwen_partitions_moved_total", {"kind": "lost"}),
            ("tuwen_partitions_assigned", {}),
            ("tuwen_queue_depth", {"queue": "inbox"}),
        )
    }
    assert list(found.values()) == [1, 0.02, 1, 4, 2, 5]


def test_the_program_names_itself(metrics: Metrics, registry: CollectorRegistry) -> None:
    """Version and Python are on the page from the start."""
    assert b'tuwen_build_info{python="' in generate_latest(registry)


def test_counting_costs_less_than_two_microseconds_a_post(metrics: Metrics) -> None:
    """The hot path pays for a batch, not for each post (the bound leaves room for a busy CPU)."""
    batch = [outcome("a", 0.9, None, 1000) for _ in range(64)]

    def once() -> float:
        started_s = time.thread_time()
        for _ in range(50):
            metrics.outcomes(batch, 2000)
        return (time.thread_time() - started_s) / 50 / 64

    assert min(once() for _ in range(5)) < 4e-6


def test_fetches_are_counted_by_scheme_and_outcome(
    metrics: Metrics, registry: CollectorRegistry
) -> None:
    """How many, how large, how long, and how many hosts are left alone."""
    gone = ImageProblem(Reason.IMAGE_NOT_FOUND, "")
    metrics.images_fetched("http", [b"12345", gone, b"12", gone])
    metrics.images_fetched("other", [ImageProblem(Reason.IMAGE_SCHEME_UNKNOWN, "")])
    metrics.fetches_took("http", [0.03, 0.3])
    metrics.hosts_left_alone(2)
    shown = generate_latest(registry).decode()
    for line in (
        'tuwen_image_fetches_total{outcome="fetched",scheme="http"} 2.0',
        'tuwen_image_fetches_total{outcome="image-not-found",scheme="http"} 2.0',
        'tuwen_image_fetches_total{outcome="image-scheme-unknown",scheme="other"} 1.0',
        'tuwen_image_bytes_total{scheme="http"} 7.0',
        'tuwen_image_fetch_seconds_count{scheme="http"} 2.0',
        "tuwen_image_hosts_left_alone 2.0",
    ):
        assert f"{line}\n" in shown
