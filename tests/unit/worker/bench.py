"""Workers on a cluster in memory, with a classifier that can be held up and can fail."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import msgspec
import numpy as np
from prometheus_client import CollectorRegistry

from features.images import ImageProblem
from inference.classifier import Classifier
from schemas import dead_letter
from schemas.reasons import Reason
from schemas.verdict import ModelName, Verdict
from worker.images.sources import NOTHING_KNOWN, Answer, Known
from worker.kafka.client_settings import ClientSettings
from worker.kafka.memory import MemoryCluster
from worker.messages import Outgoing
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.publish import Publisher
from worker.settings import WorkerSettings

TOPICS = {"posts": 2, "verdicts": 2, "letters": 1}
WAIT_S = 20.0
MODEL = ModelName("fake", "1", "soft-voting")


class PanicException(BaseException):
    """What native code raises: no Exception."""


class Given(NamedTuple):
    """What the classifier was given, which is all that it makes of it."""

    texts: Sequence[str | None]
    pixels: Sequence[object | None]

    def between(self, start: int, stop: int) -> "Given":
        """Give that of some rows."""
        return Given(self.texts[start:stop], self.pixels[start:stop])


class LengthClassifier:
    """Gives `yes` to texts of even length; can be held up, can fail, for some texts or for all."""

    def __init__(self) -> None:
        self.manifest = SimpleNamespace(
            modalities=("text", "image"), labels=("yes", "no"), image=None
        )
        self.identity = b"length"
        self.batches: list[int] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.failure: BaseException | None = None

    def features(
        self, texts: Sequence[str | None], pixels: Sequence[object | None], _seen: object = None
    ) -> Any:
        """Keep what was given."""
        if any(text and "毒" in text for text in texts):
            raise PanicException(texts)
        return Given(texts, pixels)

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
            scores=np.stack([even, ~even], 1).astype(np.float32), present=present, pictures=()
        )


class NoImages:
    """Neither source nor decoder has any image; of some references it is not the post's fault."""

    failure: BaseException | None = None

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
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
        self.decoder = NoImages()
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

    def start(
        self, slot: int = 0, start_child: Callable[[], Any] | None = None, **settings: Any
    ) -> tuple[Pipeline, threading.Event]:
        """Start a worker; `registry` has the metrics of the newest."""
        self.registry = CollectorRegistry()
        client = ClientSettings("memory:0", "group", "posts", f"group-here-{slot}")
        pipeline = Pipeline(
            self.cluster.connect(client),
            cast("Classifier", self.classifier),
            self.source,
            self.decoder,
            Publisher("verdicts", 2, "letters", MODEL, ("yes", "no")),
            WorkerSettings(**settings),
            Metrics(self.registry),
            start_child,
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

    def stop(self, stop: threading.Event) -> None:
        """Stop the worker that was started with this event, and wait for it."""
        stop.set()
        (thread,) = [thread for known, thread in self._running if known is stop]
        thread.join(WAIT_S)
        assert not thread.is_alive()

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


def eventually(condition: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Wait for what the worker's threads bring about."""
    deadline_s = time.monotonic() + within_s
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
