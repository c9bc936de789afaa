"""What `tuwen train` tells in the end."""

from dataclasses import replace
from pathlib import Path

from schemas.manifest import Evaluation
from train.training import TrainingSummary
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
