"""The services that tests stand on are what they say they are."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer, KafkaProducer

from tests.conftest import MakeTopic
from tests.prometheus import Prometheus
from tests.services import missing_service


class _OneGauge(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"answer 42\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Say nothing."""


@pytest.fixture
def exposition() -> Iterator[str]:
    """A page of metrics; gives its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OneGauge) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.kafka
def test_a_record_comes_back_from_kafka(kafka: str, make_topic: MakeTopic) -> None:
    """What was sent to a topic of the fixture is read from it."""
    topic = make_topic("fixture", partitions=3)
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(topic, b"value", partition=2).get(timeout=10)
    producer.close()
    consumer = KafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=10_000
    )
    record = next(consumer)
    partitions = consumer.partitions_for_topic(topic)
    consumer.close()
    assert (record.partition, record.value, partitions) == (2, b"value", {0, 1, 2})


@pytest.mark.prometheus
def test_prometheus_scrapes_what_it_is_told_to(prometheus: Prometheus, exposition: str) -> None:
    """A target that is added while it runs gives samples."""
    prometheus.scrape(exposition, service="fixture")
    samples = prometheus.await_samples('answer{service="fixture"}')
    prometheus.forget(exposition)
    assert [sample["value"][1] for sample in samples] == ["42"]


@pytest.mark.prometheus
def test_a_wrong_expression_is_an_error(prometheus: Prometheus) -> None:
    """An expression that Prometheus cannot read never looks like an empty answer."""
    with pytest.raises(ValueError, match="parse error"):
        prometheus.query("sum(")


def test_the_real_data_is_unpacked(test_data: Path) -> None:
    """Each archive lies in a folder of its own name."""
    assert (test_data / "zh_pairs_dev" / "train.jsonl").is_file()
    assert (test_data / "jsontestsuite" / "jsontestsuite" / "test_parsing").is_dir()
    assert (test_data / "images_own" / "own_images" / "expect.json").is_file()
    assert (test_data / "images_pillow" / "pillow" / "Tests").is_dir()


def test_a_missing_service_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    """In CI nothing is skipped."""
    monkeypatch.setenv("CI", "true")
    # A skip that nobody catches would skip this very test.
    outcomes = (pytest.fail.Exception, pytest.skip.Exception)
    with pytest.raises(outcomes, match="Thing is missing: buy one") as raised:
        missing_service("Thing", "buy one")
    assert raised.type is pytest.fail.Exception


def test_a_missing_service_skips_where_somebody_develops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere its tests are skipped, with the reason."""
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Thing is missing: buy one"):
        missing_service("Thing", "buy one")
