"""A tiny bundle, once as it is and once to be broken."""

from pathlib import Path

import pytest

from inference.bundle import load
from inference.classifier import Classifier
from tests.tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """The tiny bundle, loaded."""
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny_bundle(folder)
    return Classifier(load(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny bundle of the test's own."""
    write_tiny_bundle(tmp_path / "bundle")
    return tmp_path / "bundle"
