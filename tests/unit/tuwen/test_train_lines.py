"""What `tuwen train` is told by flags, and what it tells in the end."""

from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from schemas.manifest import Evaluation
from train import training
from train.errors import CollapsedError
from train.settings import TrainSettings
from train.training import TrainingSummary
from tuwen.command import run
from tuwen.commands.train import summary_lines

GOOD = TrainingSummary(
    "ensemble",
    None,
    {"ensemble": Evaluation(90, {"text": 0.8, "fused": 0.9}, {}, 0.5)},
    400,
    0,
    0,
    61.0,
    {},
    {"ensemble": {"text": 0.7, "fused": 0.85}},
    True,
    0,
)


def _told(summary: TrainingSummary) -> str:
    return "\n".join(summary_lines(summary, Path("models"), None))


def test_accuracy_and_macro_f1_stand_side_by_side() -> None:
    """For each use, and nothing else of a training that went well."""
    assert _told(GOOD).splitlines() == [
        "text     accuracy 0.800, macro-F1 0.700 on the test half",
        "fused    accuracy 0.900, macro-F1 0.850 on the test half",
        "models in models, in 61 s",
        "report in models/report.html",
    ]


def test_what_went_otherwise_is_told() -> None:
    """Rows left out, images that count as absent, runs that collapsed or learned nothing."""
    told = _told(
        replace(GOOD, rows_left_out=3, collapsed_runs=2, image_learned=False, unreadable_images=4)
    )
    assert "left out: 3 training rows" in told
    assert "4 images cannot be decoded" in told
    assert "2 runs of the CNN collapsed, and were repeated" in told
    assert "the CNN found nothing in the images" in told


def test_flags_become_settings_and_a_collapse_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Class weights, words and the learning rate among them; the error's words are the reader's."""
    seen: list[TrainSettings] = []

    def train(_: Path, __: Path, settings: TrainSettings, *others: object) -> NoReturn:
        seen.append(settings)
        raise CollapsedError("all 3 runs of the CNN collapsed")

    monkeypatch.setattr(training, "train", train)
    (tmp_path / "words.txt").write_text("云计算 5\n", encoding="utf-8")
    flags = ["--class-weight", "balanced", "--image-rate", "0.001", "--words", "1", "1"]
    flags += ["--user-words", str(tmp_path / "words.txt")]
    assert run(["train", "corpus", "--out", "models", *flags]) == 1
    expected = TrainSettings(
        class_weight="balanced",
        image_rate=0.001,
        text_words_ngrams=(1, 1),
        text_user_words=("云计算 5",),
    )
    assert seen == [expected]
    assert capsys.readouterr().err.endswith("all 3 runs of the CNN collapsed\n")


def test_a_scale_is_for_a_model_of_ones_own(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Ours scale for themselves; and what is neither of ours nor a file is named."""
    start = ["train", "corpus", "--out", str(tmp_path / "models")]
    assert run([*start, "--cnn", "brief", "--cnn-scale", "0-1"]) != 0
    assert "--cnn-scale is for a model of your own, and not for brief" in capsys.readouterr().err
    assert run([*start, "--cnn", "large"]) != 0
    assert "--cnn large: compact, brief, or the file of a Keras model" in capsys.readouterr().err
