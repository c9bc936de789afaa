"""The pipeline on an in-memory cluster: its order, its bounds, its stop, its failures."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import numpy as np
import pytest
import structlog
from prometheus_client import CollectorRegistry

from features.images import ImageProblem
from inference.classifier import Classifier
from schemas import dead_letter
from schemas.reasons import Reason
from schemas.verdict import ModelName, Verdict
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory import MemoryCluster
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Outgoing, Partition
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.publish import Publisher
from worker.settings import WorkerSettings

TOPICS = {"posts": 2, "verdicts": 2, "letters": 1}
WAIT_S = 20.0
MODEL = ModelName("fake", "1", "soft-voting")


class PanicException(BaseException):
    """What native code raises: no Exception."""


class LengthClassifier:
    """Gives `yes` to texts of even length; can be held up, can fail, for some texts or for all."""

    def __init__(self) -> None:
        self.manifest = SimpleNamespace(
            modalities=("text", "image"), labels=("yes", "no"), image=None
        )
        self.batches: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.failure: BaseException | None = None

    def features(self, texts: Sequence[str | None], pixels: Sequence[object | None]) -> Any:
        """Keep what was given."""
        if any(text and "毒" in text for text in texts):
            raise PanicException(texts)
        return texts, pixels

    def scores(self, features: Any) -> Any:
        """Score by length, in probabilities."""
        assert self.may_go_on.wait(WAIT_S)
        if self.failure is not None:
            raise self.failure
        texts, _ = features
        if any(text and "坏" in text for text in texts):
            raise ValueError(texts)
        self.batches.append(len(texts))
        even = np.array([len(text or "") % 2 == 0 for text in texts])
        present = np.array([(t is not None, p is not None) for t, p in zip(*features, strict=True)])
        return SimpleNamespace(
            scores=np.stack([even, ~even], 1).astype(np.float32), present=present
        )


class NoImages:
    """Neither source nor decoder has any image; of some references it is not the post's fault."""

    failure: BaseException | None = None

    def fetch(self, references: Sequence[str]) -> list[bytes | ImageProblem]:
        """Refuse each."""
        if self.failure is not None and any(each.startswith("file:") for each in references):
            raise self.failure
        if "data:poison" in references:
            raise RuntimeError(references)
        return [ImageProblem(Reason.IMAGE_NOT_FOUND, "none")] * len(references)

    def decode(self, images: Sequence[bytes]) -> list[Any]:
        """Decode nothing."""
        return []


class Bench:
    """A cluster with workers on it that are stopped at the end."""

    def __init__(self) -> None:
        self.cluster = MemoryCluster(TOPICS)
        self.classifier = LengthClassifier()
        self.source = NoImages()
        self.registry = CollectorRegistry()
        self.failures: list[BaseException] = []
        self._running: list[tuple[threading.Event, threading.Thread]] = []

    def post(self, number: int, text: str | None = None, **more: str) -> None:
        """Write a post."""
        post = {
            "id": str(number),
            "text": "好" * (number % 5 + 1) if text is None else text,
            **more,
        }
        self.write(number % 2, msgspec.json.encode(post))

    def write(self, partition: int, value: bytes) -> None:
        """Write any record."""
        self.cluster.produce(Outgoing("posts", partition, b"key", value, (), 1_000))

    def start(self, slot: int = 0, **settings: Any) -> tuple[Pipeline, threading.Event]:
        """Start a worker; `registry` has the metrics of the newest."""
        self.registry = CollectorRegistry()
        client = ClientSettings("memory:0", "group", "posts", f"group-here-{slot}")
        pipeline = Pipeline(
            self.cluster.connect(client),
            cast("Classifier", self.classifier),
            self.source,
            NoImages(),
            Publisher("verdicts", 2, "letters", MODEL, ("yes", "no")),
            WorkerSettings(**settings),
            Metrics(self.registry),
        )
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(pipeline, stop))
        thread.start()
        self._running.append((stop, thread))
        return pipeline, stop

    def _run(self, pipeline: Pipeline, stop: threading.Event) -> None:
        try:
            pipeline.run(stop)
        except BaseException as error:  # noqa: BLE001 -- kept for the test that looks.
            self.failures.append(error)

    def join(self) -> None:
        """Stop all workers and wait for them."""
        for stop, _ in self._running:
            stop.set()
        for _, thread in self._running:
            thread.join(WAIT_S)
            assert not thread.is_alive()
        self._running.clear()

    def verdicts(self) -> list[Verdict]:
        """What a read_committed reader finds."""
        records = self.cluster.committed_records("verdicts")
        return [msgspec.json.decode(record.value or b"", type=Verdict) for record in records]

    def letters(self) -> list[tuple[tuple[int, int], dead_letter.Failure]]:
        """Partition and offset of each post that is on the dead letters, and what is said of it."""
        records = self.cluster.committed_records("letters")
        said = [dead_letter.failure(record.headers) for record in records]
        return sorted(((f.partition, f.offset), f) for f in said if f is not None)

    def sources(self) -> list[tuple[int, int]]:
        """Partition and offset of each post that has a verdict."""
        return [(v.source.partition, v.source.offset) for v in self.verdicts()]


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench that leaves no worker behind."""
    bench = Bench()
    yield bench
    bench.classifier.may_go_on.set()
    bench.join()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for what the worker's threads bring about."""
    deadline_s = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come about in time"
        time.sleep(0.005)


@contextmanager
def held_up(classifier: LengthClassifier) -> Iterator[None]:
    """Let no batch through inference meanwhile."""
    classifier.may_go_on.clear()
    try:
        yield
    finally:
        classifier.may_go_on.set()


def test_each_post_has_one_verdict_and_its_partition(bench: Bench) -> None:
    """Labels are right, order is kept by partition, key and timestamp are the post's."""
    for number in range(500):
        bench.post(number)
    bench.start()
    eventually(lambda: len(bench.verdicts()) >= 500)
    assert bench.sources() == [(p, offset) for p in (0, 1) for offset in range(250)]
    for verdict in bench.verdicts():
        assert verdict.label == ("yes" if (int(verdict.id) % 5 + 1) % 2 == 0 else "no")
        assert (verdict.used, verdict.missing) == (("text",), Reason.NO_IMAGE)
    records = bench.cluster.committed_records("verdicts")
    assert {(record.key, record.timestamp_ms) for record in records} == {(b"key", 1_000)}


def test_one_bad_record_costs_one_record(bench: Bench) -> None:
    """Its batch goes on without it, and it is on the dead letters byte for byte."""
    for number in range(20):
        if number % 7 == 3:
            bench.write(number % 2, b"{broken %d" % number)
        else:
            bench.post(number)
    bench.start()
    eventually(lambda: len(bench.verdicts()) == 17)
    letters = bench.cluster.committed_records("letters")
    assert sorted(letter.value or b"" for letter in letters) == [
        b"{broken 10",
        b"{broken 17",
        b"{broken 3",
    ]


def test_what_is_in_flight_is_bounded(bench: Bench) -> None:
    """Above the bound the worker stops reading, and goes on when there is room again."""
    for number in range(400):
        bench.post(number)
    with held_up(bench.classifier):
        pipeline, _ = bench.start(
            in_flight_records_max=40, poll_records_max=10, batch_records_max=8
        )
        eventually(lambda: pipeline.in_flight >= 40)
        reads_on = threading.Event()
        assert not reads_on.wait(0.3)
        assert pipeline.in_flight < 40 + 10
    eventually(lambda: len(bench.verdicts()) == 400)
    assert max(bench.classifier.batches) <= 8


def test_a_stop_commits_what_was_begun_and_leaves_the_rest(bench: Bench) -> None:
    """After a stop and a start each post has one verdict, none two."""
    for number in range(300):
        bench.post(number)
    with held_up(bench.classifier):
        pipeline, stop = bench.start(batch_records_max=16)
        eventually(lambda: pipeline.in_flight >= 16)
        stop.set()
        eventually(lambda: pipeline._draining)
    bench.join()
    begun = len(bench.verdicts())
    assert 16 <= begun < 300
    bench.start()
    eventually(lambda: len(bench.verdicts()) >= 300)
    assert sorted(bench.sources()) == [(p, offset) for p in (0, 1) for offset in range(150)]


def test_a_stage_that_is_told_to_end_ends_the_worker_and_commits_nothing(bench: Bench) -> None:
    """It is no fault of a post or of the model: nobody waits for it to pass."""
    bench.post(0)
    bench.classifier.failure = SystemExit("told to")
    bench.start()
    eventually(lambda: bool(bench.failures))
    assert str(bench.failures[0]) == "told to"
    assert bench.cluster.all_records("verdicts") == bench.cluster.all_records("letters") == []
    bench.classifier.failure = None
    bench.start()
    eventually(lambda: len(bench.verdicts()) == 1)


POISONOUS = {
    "features": {"text": "毒"},
    "inference": {"text": "坏"},
    "fetch": {"image": "data:poison"},
}


@pytest.mark.parametrize("stage", POISONOUS)
def test_poison_costs_one_record(bench: Bench, stage: str) -> None:
    """Its batch goes on without it, the worker runs on, and the class of the error is told."""
    for number in range(60):
        poisonous = number in {7, 8, 40}
        bench.post(number, **({"text": "很好"} | POISONOUS[stage] if poisonous else {}))
    bench.start()
    eventually(lambda: len(bench.letters()) + len(bench.verdicts()) == 60)
    places, said = zip(*bench.letters(), strict=True)
    assert places == ((0, 4), (0, 20), (1, 3))
    assert {(each.stage, each.reason) for each in said} == {(stage, "poison")}
    error = {"features": "PanicException", "inference": "ValueError", "fetch": "RuntimeError"}
    assert all(error[stage] in each.detail for each in said)
    assert sorted(bench.sources()) == sorted(
        {(p, offset) for p in (0, 1) for offset in range(30)} - set(places)
    )
    assert bench.failures == []


def test_poison_is_not_quoted_in_the_logs(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Its error quotes the post; stage, class and place are enough to look for it."""
    for number in range(8):
        bench.post(number, "很坏的酒店" if number == 3 else "很好")
    with structlog.testing.capture_logs() as events:
        bench.start()
        eventually(lambda: len(bench.verdicts()) == 7)
    (told,) = [event for event in events if event["event"] == "poison set aside"]
    assert (told["step"], told["posts"], told["error"]) == ("inference", 1, "ValueError")
    assert "酒店" not in str(events) + "".join(capsys.readouterr())


FAULTS = [("inference", RuntimeError("no weights")), ("fetch", OSError(5, "disk"))]


@pytest.mark.parametrize(("step", "failure"), FAULTS, ids=[step for step, _ in FAULTS])
def test_a_fault_of_the_machine_holds_up_and_costs_no_post(
    bench: Bench, step: str, failure: BaseException
) -> None:
    """The worker is not ready, says why, shows it, and goes on by itself when it has ended."""
    broken: Any = bench.classifier if step == "inference" else bench.source
    broken.failure = failure
    for number in range(20):
        bench.post(number, **({"image": "file:x"} if step == "fetch" else {}))
    pipeline, _ = bench.start(batch_records_max=4)

    def shown(name: str) -> float | None:
        return bench.registry.get_sample_value(name, {"step": step})

    eventually(lambda: shown("tuwen_step_held_up") == 1)
    eventually(lambda: f"{step} is held up" in pipeline.state().reason)
    assert not pipeline.state().ready
    eventually(lambda: (shown("tuwen_step_faults_total") or 0) >= 2)
    assert (bench.verdicts(), bench.letters()) == ([], [])
    broken.failure = None
    eventually(lambda: len(bench.verdicts()) == 20)
    eventually(lambda: pipeline.state().ready)
    assert shown("tuwen_step_held_up") == 0
    assert (bench.letters(), bench.failures) == ([], [])


def test_a_worker_that_is_held_up_stops_when_told(bench: Bench) -> None:
    """Its posts stay for whoever owns them next."""
    bench.classifier.failure = RuntimeError("no weights")
    bench.post(0)
    pipeline, stop = bench.start(stop_timeout_s=0.3)
    eventually(lambda: "held up" in pipeline.state().reason)
    stop.set()
    bench.join()
    assert (bench.failures, bench.cluster.all_records("letters")) == ([], [])


def test_a_second_worker_takes_over_partitions_under_load(bench: Bench) -> None:
    """What was revoked in mid-batch is done once, by its new owner."""
    for number in range(200):
        bench.post(number)
    with held_up(bench.classifier):
        first, _ = bench.start(0, batch_records_max=16)
        eventually(lambda: first.in_flight > 16)
        second, stop_second = bench.start(1, batch_records_max=16)
        eventually(lambda: second.state().partitions == 1)
    for number in range(200, 400):
        bench.post(number)
    eventually(lambda: len(bench.verdicts()) >= 400)
    stop_second.set()
    for number in range(400, 500):
        bench.post(number)
    eventually(lambda: len(bench.verdicts()) >= 500)
    assert sorted(bench.sources()) == [(p, offset) for p in (0, 1) for offset in range(250)]


def test_a_member_that_the_group_evicted_commits_nothing_of_before(bench: Bench) -> None:
    """Its transaction is refused; the posts are done again, once."""
    bench.post(0)
    with held_up(bench.classifier):
        pipeline, _ = bench.start()
        eventually(lambda: pipeline.in_flight == 1)
        bench.cluster.evict(cast("MemoryBroker", pipeline._broker))
    eventually(lambda: len(bench.verdicts()) >= 1)
    bench.post(2)
    eventually(lambda: len(bench.verdicts()) >= 2)
    assert sorted(bench.sources()) == [(0, 0), (0, 1)]


def test_a_worker_without_partitions_is_ready_and_idle(bench: Bench) -> None:
    """More workers than partitions: the third has nothing to do, and says so."""
    pipelines = [bench.start(slot)[0] for slot in range(3)]

    def states() -> list[tuple[int, bool, str]]:
        found = [pipeline.state() for pipeline in pipelines]
        return sorted((state.partitions, state.ready, state.reason) for state in found)

    eventually(lambda: states() == [(0, True, "idle, no partition"), (1, True, ""), (1, True, "")])


def test_a_partition_that_cannot_be_read_stops_alone(bench: Bench) -> None:
    """The others go on, the worker is not ready and names it, nothing good is skipped."""
    for number in range(20):
        bench.post(number)
    bench.cluster.damage(Partition("posts", 1), 4)
    pipeline, _ = bench.start()
    eventually(lambda: len(bench.verdicts()) == 14)
    eventually(lambda: not pipeline.state().ready)
    assert "posts/1" in pipeline.state().reason
    assert sorted(bench.sources()) == [(0, n) for n in range(10)] + [(1, n) for n in range(4)]
