"""One secured Apache Kafka for all of these tests, and what their workers need besides."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.worker.running_worker import Topics
from tests.integration.worker.secured_kafka import SecuredKafka, secured_kafka
from tests.services import missing_service
from tests.tiny_bundle import write_tiny_bundle
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing
from worker import logs


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """One broker for all."""
    try:
        with secured_kafka(tmp_path_factory.mktemp("secured")) as running:
            yield running
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of text and image."""
    folder = tmp_path_factory.mktemp("secured-bundle") / "bundle"
    write_tiny_bundle(folder)
    return folder


@pytest.fixture
def topics(broker: SecuredKafka, request: pytest.FixtureRequest) -> Topics:
    """Three topics of the test's own; how their names begin says who may use them."""
    name = f"{abs(hash(request.node.name))}"
    return Topics(*(broker.topic(prefix, name) for prefix in ("posts", "verdicts", "letters")))


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the tests' own logs alone."""
    monkeypatch.setattr(logs, "configure", lambda *_: None)
