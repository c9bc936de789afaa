"""The stages of a real model with the image cache: hits change no verdict, and hide no fault."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from inference.bundle import load
from inference.classifier import Classifier
from schemas.reasons import Reason
from schemas.verdict import ModelName, Verdict
from tests.tiny_bundle import LABELS, SIDE, write_tiny_bundle
from worker import probe
from worker.endurance import Endurance
from worker.fetch import Fetcher
from worker.image_failures import image_failures
from worker.images.cache import ImageCache
from worker.images.data_url import DataSource
from worker.images.sources import NOTHING_KNOWN, Answer, Known, Unchanged, Versioned
from worker.messages import Outcome, Partition, Record
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.publish import Publisher
from worker.retries import Retries
from worker.settings import WorkerSettings
from worker.stages import Stages

POISON = "坏"
EVIL = "evil"


class Shelf:
    """Every image is its reference, and never changes; the worker's own is a real one."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Give what is asked for."""
        self.asked += references
        own = DataSource(1000)
        return [
            *(
                own.fetch([each])[0]
                if each == probe.POST.image
                else Unchanged((1,))
                if each in known
                else Versioned(each.encode(), (1,))
                for each in references
            )
        ]


class Lens:
    """Sees in an image what its name says; raises for evil ones, and can be at fault for all."""

    def __init__(self) -> None:
        self.decoded: list[bytes] = []
        self.failure: BaseException | None = None

    def decode(self, images: Sequence[bytes]) -> list[Any]:
        """Decode each."""
        self.decoded += images
        if self.failure is not None:
            raise self.failure
        if any(EVIL.encode() in image for image in images):
            raise ValueError(images)
        return [
            np.random.default_rng(list(image)).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            for image in images
        ]


class World:
    """A worker's stages, once with a cache and once without."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self.classifier = Classifier(load(folder))
        self.shelf, self.lens = Shelf(), Lens()
        self.registry = CollectorRegistry()
        metrics, settings = Metrics(self.registry), WorkerSettings()
        identity, never = self.classifier.identity, probe.POST.image
        self.cache = ImageCache(bytes_max, identity, metrics, never)
        self.abandoned = threading.Event()
        modalities = self.classifier.manifest.modalities
        failures = image_failures("degrade")
        self.stages = Stages(
            self.classifier,
            Fetcher(self.shelf, self.lens, modalities, failures, self.cache),
            Publisher("verdicts", 1, "letters", ModelName("tiny", "1", "soft-voting"), LABELS),
            metrics,
            Endurance(metrics, self.abandoned),
            Retries(Ledger(), settings, metrics),
            self.cache,
        )

    def outcomes(self, *posts: tuple[str | None, str | None]) -> list[Outcome]:
        """What posts of text and reference come to, in their order."""
        found = self.stages.outcomes(self.stages.prepare(records(*posts)))
        return sorted(found, key=lambda outcome: outcome.source.offset)

    def scores(self, *posts: tuple[str | None, str | None]) -> list[Any]:
        """What is said of posts, bit by bit: float32 survives JSON."""
        return [
            msgspec.json.decode(outcome.outgoing.value or b"", type=Verdict).scores
            for outcome in self.outcomes(*posts)
        ]

    def count(self, name: str, **labels: str) -> float:
        """What a metric says."""
        return self.registry.get_sample_value(name, labels) or 0.0


def records(*posts: tuple[str | None, str | None]) -> list[Record]:
    """Records of posts."""
    return [
        Record(
            Partition("posts", 0),
            offset,
            None,
            msgspec.json.encode({"id": str(offset), "text": text, "image": image}),
            (),
            0,
        )
        for offset, (text, image) in enumerate(posts)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that raises for some texts."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_bundle(folder, raises_for=POISON)
    return folder


@pytest.fixture
def world(folder: Path) -> World:
    """Stages with a cache."""
    return World(folder, 10**6)


POSTS = [("好", "file:a"), (None, "file:b"), ("很", None), ("好", "file:a"), ("服务", "file:c")]


def test_a_batch_that_was_seen_before_has_the_same_scores_bit_by_bit(
    world: World, folder: Path
) -> None:
    """As the first time, and as without a cache; no image is decoded, none goes to the CNN."""
    first = world.scores(*POSTS)
    assert world.lens.decoded == [b"file:a", b"file:b", b"file:c"]
    world.lens.failure = AssertionError("it is decoded again")
    assert world.scores(*POSTS) == first == World(folder, 0).scores(*POSTS)
    found = {
        each: world.count("tuwen_image_cache_posts_total", found=each)
        for each in ("hit", "shared", "miss")
    }
    assert found == {"hit": 4, "shared": 1, "miss": 3}
    assert 0 < world.count("tuwen_image_cache_bytes") < 10**6


def test_batches_behind_one_another_fetch_and_decode_an_image_once(world: World) -> None:
    """The second is prepared before the CNN has seen the first; both have their verdicts."""
    prepared = [world.stages.prepare(records(("好", "file:a"))) for _ in range(2)]
    first, second = [world.stages.outcomes(each)[0].outgoing.value for each in prepared]
    assert first == second
    assert world.lens.decoded == [b"file:a"]
    assert world.scores(("好", "file:a"))


def test_poison_among_posts_that_were_seen_costs_itself_alone(world: World) -> None:
    """Its batch is halved: some posts have pixels, of others the CNN has nothing to do."""
    world.outcomes(("好", "file:a"), ("好", "file:b"))
    posts = [("好", "file:a"), (POISON, "file:b"), ("很", "file:new"), ("好", "file:b")]
    outcomes = world.outcomes(*posts)
    assert [outcome.reason for outcome in outcomes] == [None, Reason.POISON, None, None]
    assert [outcome.confidence is None for outcome in outcomes] == [False, True, False, False]
    assert world.lens.decoded.count(b"file:b") == 1


def test_the_worker_s_own_post_is_decoded_each_time(world: World) -> None:
    """Else it would pass while the decoder is broken, and posts would suffer for it."""
    looks = []
    for number in range(2):
        bad, good = f"file:{EVIL}{number}", f"file:{number}"
        reasons = [each.reason for each in world.outcomes(("好", bad), ("好", good))]
        assert reasons == [Reason.POISON, None]
        looks.append(sum(not image.startswith(b"file:") for image in world.lens.decoded))
    assert 0 < looks[0] < looks[1]


def test_a_decoder_at_fault_is_no_fault_of_posts_though_others_are_seen(world: World) -> None:
    """The worker waits; what it has seen before would not tell it that the decoder is broken."""
    world.outcomes(("好", "file:a"))
    world.lens.failure = RuntimeError("no decoder")
    threading.Timer(0.1, world.abandoned.set).start()
    assert world.outcomes(("好", "file:a"), ("好", "file:new")) == []
    assert world.count("tuwen_step_faults_total", step="fetch") >= 1
