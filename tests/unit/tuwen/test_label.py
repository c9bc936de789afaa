"""The command that labels without people."""

import json
from pathlib import Path

import pytest

from tests.unit.train.corpora import row, write_corpus
from train.corpus import load
from tuwen.command import run


@pytest.fixture
def posts(tmp_path: Path) -> Path:
    """Training rows without a label, test rows that people labelled."""
    train = [
        {"id": "a", "text": "很满意，推荐"},
        {"id": "b", "text": "太差了，失望"},
        {"id": "c", "text": "星期五"},
    ]
    test = [
        row("d", 0, text="非常满意", label_name="好评"),
        row("e", 1, text="推荐", label_name="差评"),
    ]
    return write_corpus(tmp_path / "posts", train, test)


def lexicon(folder: Path, name: str, content: str) -> str:
    """A lexicon file, by its path."""
    (folder / name).write_text(content, encoding="utf-8")
    return str(folder / name)


def test_posts_are_labelled_by_the_shipped_lexicon(
    posts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Coverage, accuracy where people labelled, and what was written."""
    out = tmp_path / "out"
    assert run(["label", str(posts), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "shipped     0.800    4 of 5     3     1  0.500" in shown
    assert "train        2 rows with labels of lexicons: 好评 1, 差评 1; 1 without a label" in shown
    assert "test         2 rows with labels of people: 好评 1, 差评 1; 0 without a label" in shown
    assert "agreement" not in shown
    assert load(out).labels == ("好评", "差评")


def test_several_lexicons_are_compared(
    posts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Agreement and kappa between them, and all together; as JSON the same."""
    mine = lexicon(tmp_path, "mine.txt", "满意,1\n失望,-1\n推荐,-1\n")
    named = ["--lexicon", "shipped", "--lexicon", mine]
    told = ["label", str(posts), *named, "--out", str(tmp_path / "out")]
    assert run(told) == 0
    shown = capsys.readouterr().out
    assert "shipped and mine.txt: agreement 0.667 on the 3 texts that both label" in shown
    assert "together" in shown
    again = ["label", str(posts), *named, "--out", str(tmp_path / "again"), "--json"]
    assert run(again) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["pairs"][0]["texts"] == 3
    assert report["together"]["labelled"] == 3
    assert report["halves"]["test"]["labels_by"] == "people"


def test_a_test_half_of_lexicons_is_said_to_give_agreement(
    posts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a model is trained on it."""
    told = ["label", str(posts), "--out", str(tmp_path / "out"), "--test-labels", "lexicons"]
    assert run(told) == 0
    assert "will be agreement with lexicons, not accuracy" in capsys.readouterr().out


def test_lexicons_that_share_no_text_are_not_compared(
    posts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to reckon agreement from."""
    one = lexicon(tmp_path, "one.txt", "满意,1\n讨厌,-1\n")
    other = lexicon(tmp_path, "other.txt", "高兴,1\n失望,-1\n")
    named = ["--lexicon", one, "--lexicon", other]
    assert run(["label", str(posts), *named, "--out", str(tmp_path / "out")]) == 0
    assert "one.txt and other.txt label no text both" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--window", "99"], 2, "setting window"),
        (["--lean-min", "0"], 2, "setting lean_min"),
        (["--positive", "赞"], 2, "--positive: people's labels"),
        (["--lexicon", "nowhere.txt"], 1, "there is no nowhere.txt"),
        (["--neutral", "差评"], 2, "two labels have one name"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    posts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    code: int,
    said: str,
) -> None:
    """And nothing is written."""
    assert run(["label", str(posts), "--out", str(tmp_path / "out"), *flags]) == code
    refused = capsys.readouterr().err.splitlines()
    assert said in refused[-1]
    assert [each.name for each in tmp_path.iterdir()] == ["posts"]


def test_a_bad_lexicon_is_one_line_with_its_place(
    posts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line, and what to do."""
    bad = lexicon(tmp_path, "bad.txt", "好,1\n差\n")
    assert run(["label", str(posts), "--lexicon", bad, "--out", str(tmp_path / "out")]) == 1
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert "bad.txt line 2" in refused


def test_training_refuses_rows_without_a_label_and_names_this_command(
    posts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is trained on guesses without being told to."""
    assert run(["train", str(posts), "--out", str(tmp_path / "models")]) == 1
    refused = capsys.readouterr().err
    assert "train.jsonl line 1" in refused
    assert "`label`" in refused
    assert "tuwen label" in refused
