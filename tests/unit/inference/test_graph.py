"""A graph that fails as it runs."""

from pathlib import Path

import pytest

from inference.bundle import load
from inference.classifier import Classifier
from tests.tiny_bundle import write_tiny_bundle


def test_a_run_that_fails_raises_and_writes_nothing_on_stderr(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The error is in what is raised; lines of the runtime's own would break a worker's log."""
    write_tiny_bundle(tmp_path / "bundle", raises_for="一般")
    classifier = Classifier(load(tmp_path / "bundle"))
    with pytest.raises(Exception, match="out of data bounds"):
        classifier.classify(["房间一般"], [None])
    assert classifier.classify(["房间很好"], [None]).scores.shape == (1, 3)
    assert "".join(capfd.readouterr()) == ""
