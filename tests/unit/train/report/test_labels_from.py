"""The page about models that learned from lexicons never speaks of what is right."""

import shutil
from pathlib import Path

import msgspec
import pytest

from schemas.manifest import LabelsFrom, LexiconUsed
from schemas.models import Models
from schemas.progress import silent
from tests.unit.train.report.test_page import Elements
from tests.unit.train.report.trained import Trained
from train.report.contents import Report
from train.report.page import Language
from train.report.writing import write_report

USED = LexiconUsed("mine.txt", "0" * 64, 12, 0.5)
BOTH = LabelsFrom((USED,), {"window": 4}, ("train", "test"), 0.625)
TRAIN = msgspec.structs.replace(BOTH, halves=("train",))


def written(
    trained: Trained, folder: Path, origin: LabelsFrom, language: Language
) -> tuple[Report, str]:
    """The report of the same models, had their labels come from there; its page as it is read."""
    models = Path(shutil.copytree(trained.models, folder / "models"))
    held = msgspec.json.decode((models / "models.json").read_bytes(), type=Models)
    changed = msgspec.structs.replace(held, labels_from=origin, choice=None)
    (models / "models.json").write_bytes(msgspec.json.encode(changed))
    report = write_report(models, folder / "report.html", silent, language=language)
    found = Elements((folder / "report.html").read_text(encoding="utf-8"))
    return report, "".join(found.text)


@pytest.mark.parametrize(
    ("language", "never", "said"),
    [("en", "accura", "mine.txt"), ("zh", "准确率", "与词典的一致率")],
)
def test_figures_on_labels_of_lexicons_are_agreement(
    trained: Trained, tmp_path: Path, language: Language, never: str, said: str
) -> None:
    """In the page's words, titles of plots included; report.json says where labels come from."""
    report, text = written(trained, tmp_path, BOTH, language)
    assert never not in text
    assert said in text
    assert "mine.txt" in text
    assert "0.625" in text
    assert report.origin.labels_from == BOTH


def test_figures_on_a_test_half_of_people_are_accuracy(trained: Trained, tmp_path: Path) -> None:
    """And the CNN's watched pictures, which are training rows, agree with lexicons."""
    report, text = written(trained, tmp_path, TRAIN, "en")
    assert "labels of the test half are people's" in text
    assert "labels" in text
    assert "Agreement with lexicons on the watched pictures." in text
    assert "Accuracy and calibration error" in text
    assert report.origin.labels_from == TRAIN


def test_figures_on_labels_of_people_speak_of_no_lexicon(trained: Trained, tmp_path: Path) -> None:
    """As ever."""
    report = write_report(trained.models, tmp_path / "report.html", silent)
    assert "lexicon" not in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert report.origin.labels_from is None
