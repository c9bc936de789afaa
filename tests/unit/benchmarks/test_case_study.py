"""The case study: its figures stand in the order that the guide tells of."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from benchmarks.case_study.__main__ import main, table
from benchmarks.case_study.picture import MISTAKES, NAMES, draw
from benchmarks.case_study.study import Figures, fitted_by_message, fitted_vectoriser
from schemas.progress import silent
from tuwen.demo_corpus import generate

GUIDES = [
    Path(__file__).parents[3] / "docs" / name for name in ("case-study.md", "case-study.zh.md")
]
FIGURES = Figures(0.3, 0.8, 0.75, 0.875, 0.74, 0.81, 0.5, 0.99)


@pytest.mark.training
# Keras converts arrays in a way that numpy 2 has deprecated.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_right_way_is_above_the_wrong_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a smaller corpus too; and the rows that it was fitted on flatter."""
    generate(tmp_path / "corpus", 7, 1500, 300, silent)

    assert main(["--corpus", f"{tmp_path}/corpus", "--out", f"{tmp_path}/picture.svg"]) == 0

    shown = capsys.readouterr().out
    found = {name: float(re.findall(rf"{words} +(\S+)", shown)[0]) for name, words in NAMES.items()}
    assert found["fused"] > found["vectoriser_by_message"] + 0.02
    assert found["fused"] > found["cnn_never_trained"] + 0.02
    assert found["fused"] > found["cnn_new_when_served"] + 0.02
    assert found["judged_on_own_rows"] > found["fused"] + 0.1
    assert min(found["text"], found["image"]) > found["baseline"] + 0.1
    assert (tmp_path / "picture.svg").read_bytes().count(b"<path") > 8


def test_a_vectoriser_of_one_message_has_columns_of_its_own() -> None:
    """So that equal words stand in different columns: nothing that was learned fits them."""
    texts = ["服务很好", "房间很好", "很好"]
    once = fitted_vectoriser([*texts, *texts])
    words = once.transform(texts).toarray()
    alone = fitted_by_message(texts, words.shape[1]).toarray()

    assert alone.shape == words.shape
    assert (words[:, once.vocabulary_["很"]] > 0).all()
    assert (alone[2] > 0).nonzero()[0].tolist() == [0, 1, 2]


def test_every_figure_is_named_and_marked() -> None:
    """In the table and in the picture."""
    assert list(NAMES) == [field.name for field in fields(Figures)]
    lines = list(table(FIGURES))
    assert "  both, side by side                   0.875" in lines
    assert [line.startswith("✗") for line in lines] == [name in MISTAKES for name in NAMES]


def test_equal_figures_give_equal_pictures(tmp_path: Path) -> None:
    """No date, no name by chance."""
    for name in ("one.svg", "two.svg"):
        draw(FIGURES, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)
def test_the_guide_shows_every_line_of_the_table(guide: Path) -> None:
    """In their order, by the words that the command prints."""
    shown = re.findall(r"^[ ✗] (\S.*?) +0\.\d{3}$", guide.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown == list(NAMES.values())
