"""What lexicons labelled is learned from, and everything that comes of it says so."""

import json
from pathlib import Path

import msgspec
import pytest

from schemas.models import Models
from schemas.progress import silent
from train.labelling.labels import LabelSettings, label
from train.labelling.lexicon import shipped
from tuwen.command import run
from tuwen.demo_corpus import generate

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_models_page_and_console_say_that_lexicons_gave_the_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And none of all strategies is chosen by them: soft-voting is trained alone."""
    corpus, labelled, models = (tmp_path / name for name in ("corpus", "labelled", "models"))
    generate(corpus, 3, 120, 40, silent)
    settings = LabelSettings(neutral="中性", test_labels="lexicons")
    label(corpus, [shipped()], settings, labelled, silent)
    quick = ["--epochs", "1", "--cnn", "brief"]
    assert run(["train", str(labelled), "--out", str(models), *quick]) == 0
    told = capsys.readouterr()
    assert "accuracy" not in told.out + told.err
    assert "labels of the training and the test half come from lexicons, not from people" in (
        told.out
    )
    assert "no strategy is chosen: soft-voting was trained alone" in told.out
    assert "fused    agreement" in told.out
    held = msgspec.json.decode((models / "models.json").read_bytes(), type=Models)
    assert (held.strategies, held.choice) == (("soft-voting",), None)
    assert held.labels_from is not None
    assert [each.name for each in held.labels_from.lexicons] == ["shipped"]
    page = json.loads((models / "report.json").read_bytes())
    assert page["origin"]["labels_from"]["halves"] == ["train", "test"]
