"""The stages' work on one batch: what the probe is made to look like, and what metrics are told."""

import threading
from pathlib import Path

import msgspec
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from features.images import ImageLimits
from inference.bundle import load
from inference.classifier import Classifier, Features, Scores
from schemas.post import Post
from schemas.verdict import ModelName
from tests.tiny_bundle import LABELS, SIDE, write_tiny_bundle
from worker.endurance import Endurance
from worker.fetch import Fetcher
from worker.image_failures import ImageFailures
from worker.images.cache import no_cache
from worker.images.data_url import DataSource
from worker.images.decoder import InProcessDecoder
from worker.messages import Fetched, Partition, Record
from worker.metrics import Metrics
from worker.offsets import Ledger
from worker.poison import Passed
from worker.publish import Publisher
from worker.retries import Retries
from worker.settings import WorkerSettings
from worker.stages import Prepared, Stages

MODEL = ModelName("tiny", "1", "soft-voting")
GREY = np.full((SIDE, SIDE, 3), 128, np.uint8)
WHITE = np.full((SIDE, SIDE, 3), 255, np.uint8)


class Watched(Classifier):
    """Notes what each run has, and refuses white pictures."""

    def __init__(self, bundle: Path) -> None:
        super().__init__(load(bundle))
        self.runs: list[tuple[int, bool, bool]] = []

    def scores(self, features: Features) -> Scores:
        """Label, unless a picture is white."""
        text, image = (any(column) for column in features.present.T.tolist())
        self.runs.append((features.rows, text, image))
        if (pixels := features.pictures.pixels) is not None and pixels.max() == 255:
            raise ValueError("white")
        return super().scores(features)


class Desk:
    """Stages over a tiny bundle whose text graph raises for 坏."""

    def __init__(self, folder: Path) -> None:
        write_tiny_bundle(folder, raises_for="坏")
        self.classifier = Watched(folder)
        self.registry = CollectorRegistry()
        metrics, settings = Metrics(self.registry), WorkerSettings()
        manifest = self.classifier.manifest
        assert manifest.image is not None
        self.stages = Stages(
            self.classifier,
            Fetcher(
                DataSource(1000),
                InProcessDecoder(manifest.image, ImageLimits(1000, 1000)),
                manifest.modalities,
                ImageFailures("dead-letter", {}),
            ),
            Publisher("verdicts", 1, "letters", MODEL, LABELS),
            metrics,
            Endurance(metrics, threading.Event()),
            Retries(Ledger(), settings, metrics),
            no_cache(),
        )

    def label(self, *posts: Fetched) -> list[bool]:
        """Label posts as one batch, and say of each in its order whether it got a verdict."""
        texts = [each.post.text for each in posts]
        features = self.classifier.features(texts, [each.pixels for each in posts])
        outcomes = self.stages.outcomes(Prepared([Passed(posts, features)], ()))
        got = {each.source.offset: each.confidence is not None for each in outcomes}
        return [got[offset] for offset in range(len(posts))]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Stages over a new bundle."""
    return Desk(tmp_path / "bundle")


def post(offset: int, text: str | None, pixels: np.ndarray | None) -> Fetched:
    """A post with its image; only its offset tells it from others."""
    said = Post(str(offset), text)
    record = Record(Partition("posts", 0), offset, None, msgspec.json.encode(said), (), 0)
    return Fetched(record, said, pixels, None)


@pytest.mark.parametrize(
    ("good", "bad"),
    [(("好", None), ("坏", None)), ((None, GREY), (None, WHITE)), (("好", GREY), ("坏", GREY))],
    ids=["text", "image", "both"],
)
def test_the_probe_has_what_the_posts_of_its_batch_have(
    desk: Desk, good: tuple[str | None, np.ndarray], bad: tuple[str | None, np.ndarray]
) -> None:
    """What none of them goes through needs no witness, and the CNN costs more than all else."""
    posts = [post(offset, *(bad if offset == 5 else good)) for offset in range(8)]
    assert desk.label(*posts) == [offset != 5 for offset in range(8)]
    held = (good[0] is not None, good[1] is not None)
    assert {run[1:] for run in desk.classifier.runs} == {held}


def test_the_probe_of_a_mixed_batch_has_both(desk: Desk) -> None:
    """Whichever graph is broken, it goes through it."""
    posts = [post(0, "好", None), post(1, None, GREY), post(2, "坏", None), post(3, None, GREY)]
    assert desk.label(*posts) == [True, True, False, True]
    assert (1, True, True) in desk.classifier.runs


def test_metrics_are_told_of_a_batch_once_though_it_was_done_in_parts(desk: Desk) -> None:
    """Else one poisonous post would look like ten small batches."""
    posts = [post(offset, "坏" if offset == 5 else "好", None) for offset in range(8)]
    desk.label(*posts)
    assert len(desk.classifier.runs) > 3
    for stage in ("inference", "publish"):
        for name, value in (
            ("tuwen_stage_seconds_count", 1),
            ("tuwen_batch_records_count", 1),
            ("tuwen_batch_records_sum", 8),
        ):
            assert desk.registry.get_sample_value(name, {"stage": stage}) == value


def test_of_a_batch_without_posts_metrics_are_told_nothing(desk: Desk) -> None:
    """All its records may have been rejected before."""
    assert desk.label() == []
    assert (
        desk.registry.get_sample_value("tuwen_stage_seconds_count", {"stage": "inference"}) is None
    )
