"""The worker's own post goes through every stage as any other does."""

from pathlib import Path

import numpy as np
import pytest

from features.images import ImageLimits
from inference.bundle import load
from inference.classifier import Classifier
from tests.tiny_bundle import write_tiny_bundle
from worker.decode import decode
from worker.fetch import Fetcher
from worker.image_failures import ImageFailures
from worker.images.data_url import DataSource
from worker.images.decoder import InProcessDecoder
from worker.messages import Fetched, Read
from worker.probe import probe_of


def test_the_probe_is_a_good_post_at_every_stage(tmp_path: Path) -> None:
    """It decodes, its image does, and a real model gives it probabilities from both."""
    write_tiny_bundle(tmp_path / "bundle")
    classifier = Classifier(load(tmp_path / "bundle"))
    manifest = classifier.manifest
    assert manifest.image is not None
    probe = probe_of(manifest)
    assert decode(probe.record) == Read(probe.record, probe.read.post)
    decoder = InProcessDecoder(manifest.image, ImageLimits(1000, 1000))
    fetcher = Fetcher(
        DataSource(1000), decoder, manifest.modalities, ImageFailures("dead-letter", {})
    )
    (fetched,) = fetcher.fetch([probe.read])
    assert isinstance(fetched, Fetched)
    assert fetched.pixels is not None
    assert probe.fetched.pixels is not None
    assert fetched.pixels.shape == probe.fetched.pixels.shape
    assert np.abs(fetched.pixels.astype(int) - probe.fetched.pixels).max() <= 1
    scores = classifier.classify([probe.fetched.post.text], [probe.fetched.pixels])
    assert scores.present.all()
    assert scores.scores.sum() == pytest.approx(1, abs=1e-5)
