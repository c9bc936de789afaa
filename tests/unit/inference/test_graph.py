"""A graph that fails as it runs."""

import subprocess
import sys
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


def test_the_runtime_keeps_no_record_of_its_use(tmp_path: Path) -> None:
    """Its telemetry would write a database under the home, and send it; nothing is written."""
    write_tiny_bundle(tmp_path / "bundle")
    home = tmp_path / "home"
    home.mkdir()
    program = "import sys; from inference.graph import Graph; Graph(open(sys.argv[1], 'rb').read())"
    graph = str(tmp_path / "bundle" / "text.onnx")
    subprocess.run(
        [sys.executable, "-c", program, graph],
        check=True,
        env={"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3])},
        timeout=30,
    )
    assert list(home.rglob("*")) == []
