"""The table of quality, and what it calls a fault."""

import tarfile
from pathlib import Path

import pytest

from benchmarks import quality
from benchmarks.quality import ARCHIVE, TEST_DATA, Figures, faults, real_or_demo, table
from benchmarks.through_kafka import Answers
from schemas.manifest import Evaluation, Manifest, Parity, ParityFigure
from tests.unit.train.corpora import good_corpus
from train.training import TrainingSummary

GOOD = Answers(posts=10, verdicts=10, dead_letters=0, twice=0, accuracy=0.9, seconds=1.0)


def _figures(fused: float = 0.9, seconds: float = 30.0, answers: Answers | None = GOOD) -> Figures:
    uses = {"text": 0.8, "image": 0.85, "fused": fused}
    evaluation = Evaluation(100, uses, dict.fromkeys(uses, 0.02), 0.5)
    summary = TrainingSummary(
        "soft-voting", None, {"soft-voting": evaluation}, 400, 0, 0, seconds, {}
    )
    parity = Parity((ParityFigure("scores", 110, 3e-7, 1e-5),), 100, 10, 1000, 0, 0)
    manifest = Manifest(
        contract=1,
        feature_version=1,
        name="demo",
        version="1",
        labels=("a", "b"),
        modalities=("text", "image"),
        strategy="soft-voting",
        graphs={},
        text=(),
        image=None,
        evaluation=evaluation,
        parity=parity,
        settings={},
        versions={},
        seed=7,
        corpus_sha256="",
    )
    return Figures("demo", summary, {"soft-voting": manifest}, answers)


def test_the_table_says_all_figures() -> None:
    """Accuracy by what was used, calibration, parity, and the way through Kafka."""
    text = "\n".join(table(_figures()))
    assert "| soft-voting | 0.8000 | 0.8500 | 0.9000 | 0.020 | 3.0e-07 | 0 of 100 |" in text
    assert "10 posts, 10 verdicts" in text
    assert "Kafka" not in "\n".join(table(_figures(answers=None)))


def test_good_figures_have_no_fault() -> None:
    """Nothing to complain of."""
    assert list(faults(_figures())) == []


@pytest.mark.parametrize(
    ("figures", "fault"),
    [
        (_figures(fused=0.85), "fused 0.8500 is not above 0.8500"),
        (_figures(seconds=601.0), "601 s, more than 600"),
        (_figures(answers=Answers(10, 9, 0, 0, 0.8, 1.0)), "9 verdicts for 10 posts"),
        (_figures(answers=Answers(10, 10, 0, 1, 0.8, 1.0)), "1 twice"),
    ],
)
def test_a_figure_that_is_not_good_is_a_fault(figures: Figures, fault: str) -> None:
    """Each is named."""
    found = list(faults(figures))
    assert len(found) == 1
    assert fault in found[0]


def test_real_posts_are_unpacked_where_they_are_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the folder that the variable names, in whatever folder of the archive they lie."""
    corpus = good_corpus(tmp_path / "made")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    with tarfile.open(tmp_path / "shared" / ARCHIVE, "w:gz") as archive:
        archive.add(corpus, arcname="pairs")
    monkeypatch.setenv(TEST_DATA, str(tmp_path / "shared"))
    assert real_or_demo(tmp_path) == tmp_path / "unpacked" / "pairs"


def test_without_real_posts_there_is_the_demo_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody can run it."""
    monkeypatch.delenv(TEST_DATA, raising=False)
    monkeypatch.setattr(quality, "DEMO_POSTS", (6, 3))
    folder = real_or_demo(tmp_path)
    assert len((folder / "train.jsonl").read_text(encoding="utf-8").splitlines()) == 6
