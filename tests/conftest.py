"""What tests share: real services, started once for all of them, and real data."""

import itertools
import os
import signal
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

import inference.runtime  # noqa: F401 -- before a test loads ONNX Runtime, which would send.
from tests.prometheus import Prometheus, running_prometheus
from tests.services import missing_service
from tuwen import local_kafka
from tuwen.local_kafka_errors import JarsUnavailable, JavaMissing

if TYPE_CHECKING:
    from kafka import KafkaAdminClient
    from xdist.remote import Producer

# A busy machine is no fault of the code: an example may take its time.
settings.register_profile(
    "unhurried",
    parent=settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("unhurried")

_WITH_SERVICES = ("tests/chaos/", "tests/contract/", "tests/integration/")

MakeTopic = Callable[..., str]
"""make_topic(name="posts", partitions=1, **configuration) -> the topic's unique name"""


class _ServicesTogether(LoadFileScheduling):  # type: ignore[misc]  # xdist ships no types.
    """Tests of one file share fixtures, so one process runs them; one has all real services."""

    def _split_scope(self, nodeid: str) -> str:
        """Name the group of tests that the test `nodeid` runs in."""
        return "services" if nodeid.startswith(_WITH_SERVICES) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> LoadFileScheduling:
    """Let the processes of `--numprocesses` share the tests out by `_ServicesTogether`."""
    return _ServicesTogether(config, log)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let Ctrl-C reach children even where a shell's `&` has made them deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Apache Kafka of the tests' own; gives its bootstrap servers."""
    state = tmp_path_factory.mktemp("kafka")
    try:
        running = local_kafka.start(state)
    except (JarsUnavailable, JavaMissing) as absent:
        missing_service("Apache Kafka", str(absent))
    yield running.bootstrap_servers
    local_kafka.erase(state)


@pytest.fixture(scope="session")
def _admin(kafka: str) -> Iterator["KafkaAdminClient"]:
    from kafka import KafkaAdminClient

    client = KafkaAdminClient(bootstrap_servers=kafka)
    yield client
    client.close()


@pytest.fixture(scope="session")
def make_topic(_admin: "KafkaAdminClient") -> MakeTopic:
    """Make topics whose names no other test uses."""
    from kafka.admin import NewTopic

    counter = itertools.count(1)

    def make(name: str = "posts", partitions: int = 1, **configuration: str) -> str:
        """Make a topic; `configuration` as Kafka names it, with `_` for `.`."""
        unique = f"{name}-{next(counter)}"
        settings = {key.replace("_", "."): value for key, value in configuration.items()}
        topic = NewTopic(unique, partitions, 1, topic_configs=settings)
        _admin.create_topics([topic], wait_for_metadata=True)
        return unique

    return make


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A real Prometheus that scrapes each second what a test tells it to."""
    with running_prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


@pytest.fixture(scope="session")
def test_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real data, each archive in a folder of its name.

    `zh_pairs_dev/train.jsonl`, `images_own/own_images/`, `images_pillow/pillow/Tests/`,
    `jsontestsuite/jsontestsuite/test_parsing/`.

    They are third-party files, so they are not part of the project: `TUWEN_TEST_DATA` names the
    folder that holds their archives, in `data/` and `hostile/`.
    """
    source = os.environ.get("TUWEN_TEST_DATA")
    archives = sorted(Path(source).glob("*/*.tar.gz")) if source else []
    if not archives:
        missing_service("the real data", "let TUWEN_TEST_DATA name the folder of its archives")
    unpacked = tmp_path_factory.mktemp("test_data")
    for archive in archives:
        with tarfile.open(archive) as packed:
            packed.extractall(unpacked / archive.name.removesuffix(".tar.gz"), filter="data")
    return unpacked
