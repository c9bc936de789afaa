"""Corpora that no good model can come of are refused by `train` before anything is fitted."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec
import numpy as np
import pytest

from schemas.progress import silent
from tests.unit.train.corpora import row, write_corpus, write_image
from train import training
from train.corpus import load
from train.errors import CorpusError
from train.prepared import prepare_train
from train.settings import TrainSettings
from train.training import train

Rows = list[dict[str, Any]]
Spoil = Callable[[Path, Rows, Rows], None]
"""Changes the rows of both halves, and may change the pictures in the folder."""

SETTINGS = TrainSettings(strategies=("soft-voting",), image_scoring="out-of-fold", epochs=1)
_COMMAND = """
import sys
from tuwen.command import run
print(run(sys.argv[1:]), "tensorflow" in sys.modules)
"""
BROKEN = b"\x89PNG\r\n\x1a\n broken"


@pytest.fixture(autouse=True)
def _nothing_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first model of a training is the text model."""

    def fit_text(*_: object) -> NoReturn:
        raise AssertionError("a model was fitted")

    monkeypatch.setattr(training, "fit_text", fit_text)


def _rows(folder: Path, half: str, count: int) -> Rows:
    return [
        row(
            f"{half}-{number}",
            number % 2,
            image=write_image(folder, f"{half}-{number}.png", 100 * len(half) + number),
        )
        for number in range(count)
    ]


def _corpus(folder: Path, spoil: Spoil) -> Path:
    """Twelve rows of each of two labels, enough to train on, and then spoilt."""
    train, test = _rows(folder, "train", 24), _rows(folder, "test", 4)
    spoil(folder, train, test)
    return write_corpus(folder, train, test)


def _one_label(_: Path, train: Rows, test: Rows) -> None:
    for each in (*train, *test):
        each["label"] = 0


def _empty_train(_: Path, train: Rows, __: Rows) -> None:
    train.clear()


def _empty_test(_: Path, __: Rows, test: Rows) -> None:
    test.clear()


def _no_image(_: Path, train: Rows, __: Rows) -> None:
    for each in train:
        each["image"] = None


def _no_text(_: Path, __: Rows, test: Rows) -> None:
    for each in test:
        each["text"] = " "


def _broken_images(half: str) -> Spoil:
    def spoil(folder: Path, _: Rows, __: Rows) -> None:
        for number, file in enumerate(sorted((folder / "images").glob(f"{half}-*"))):
            file.write_bytes(BROKEN + bytes([number]))

    return spoil


def _missing_image(folder: Path, _: Rows, __: Rows) -> None:
    (folder / "images" / "train-5.png").unlink()


def _unknown_label(_: Path, __: Rows, test: Rows) -> None:
    test[2] |= {"label": 2, "label_name": "惊讶"}


def _same_id(_: Path, train: Rows, test: Rows) -> None:
    test[0]["id"] = train[3]["id"]


def _same_post(folder: Path, train: Rows, test: Rows) -> None:
    test[1]["text"] = train[6]["text"]
    (folder / str(test[1]["image"])).write_bytes((folder / str(train[6]["image"])).read_bytes())


def _few_rows(_: Path, train: Rows, __: Rows) -> None:
    for each in train[7::2]:
        each["label"] = 0


def _few_readable(folder: Path, _: Rows, __: Rows) -> None:
    for number in range(1, 24, 6):
        (folder / "images" / f"train-{number}.png").write_bytes(BROKEN + bytes([number]))


def _all_shared(_: Path, train: Rows, test: Rows) -> None:
    for each in train:
        each["text"] = test[0]["text"]


def _alike(_: Path, train: Rows, __: Rows) -> None:
    for each in train[1::2]:
        each["text"] = "同样的话"


CASES: list[tuple[str, Spoil, str]] = [
    ("one label", _one_label, r"one label only, '0'"),
    ("empty train", _empty_train, r"train\.jsonl holds no row"),
    ("empty test", _empty_test, r"test\.jsonl holds no row"),
    ("no image", _no_image, r"train\.jsonl has no row with an image"),
    ("no text", _no_text, r"test\.jsonl has no row with a text"),
    ("broken", _broken_images("train"), r"none of the 24 images of train\.jsonl.*'train-0'"),
    ("broken test", _broken_images("test"), r"none of the 4 images of test\.jsonl.*'test-0'"),
    ("missing image", _missing_image, r"'train-5': image 'images/train-5\.png' cannot be read"),
    ("unknown label", _unknown_label, r"test\.jsonl line 3: label 2 \('惊讶'\) of 'test-2'"),
    ("same id", _same_id, r"'train-3' among them: .*`tuwen corpus split`"),
    ("same post", _same_post, r"'train-6' of train\.jsonl is 'test-1'.*`tuwen corpus split`"),
    ("few rows", _few_rows, r"'1' 3; 10 of each are the least.*add rows"),
    ("few readable", _few_readable, r"'1' 8; 10 of each are the least"),
    ("all shared", _all_shared, r"no row with an image is left in train\.jsonl"),
    ("too much alike", _alike, r"label '1' has 12 rows .* too much alike to be in every fold"),
]


@pytest.mark.parametrize(
    ("spoil", "message"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_bad_corpus_is_refused_before_anything_is_fitted(
    tmp_path: Path, spoil: Spoil, message: str
) -> None:
    """The error names the post or the label, and what to do; nothing is written."""
    corpus = _corpus(tmp_path / "corpus", spoil)
    with pytest.raises(CorpusError, match=message):
        train(corpus, tmp_path / "models", SETTINGS, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_corpus_that_is_just_enough_is_trained_on(tmp_path: Path) -> None:
    """The same rows unspoilt come as far as the first model."""
    corpus = _corpus(tmp_path / "corpus", lambda *_: None)
    with pytest.raises(AssertionError, match="a model was fitted"):
        train(corpus, tmp_path / "models", SETTINGS, silent)


def test_a_label_that_is_not_in_every_fold_held_out_is_refused(tmp_path: Path) -> None:
    """A fifth of twelve rows does not reach three folds; out of fold there are enough."""
    corpus = _corpus(tmp_path / "corpus", lambda *_: None)
    held_out = msgspec.structs.replace(
        SETTINGS, image_scoring="held-out", strategies=("soft-voting", "voting")
    )
    with pytest.raises(CorpusError, match=r"every fold.*--image-scoring out-of-fold"):
        train(corpus, tmp_path / "models", held_out, silent)


def test_rows_that_fusion_learns_from_are_in_every_fold_of_the_texts(tmp_path: Path) -> None:
    """Where a fifth of the images is held out, those few are spread by themselves."""
    train = _rows(tmp_path, "train", 60)
    corpus = load(write_corpus(tmp_path, train, _rows(tmp_path, "test", 4)))
    for seed in range(10):
        settings = TrainSettings(image_scoring="held-out", seed=seed)
        half = prepare_train(corpus, settings, silent)
        learned = half.image_folds == 0
        for label in (0, 1):
            folds = half.text_folds[learned & (half.labels == label)]
            assert np.bincount(folds, minlength=5).min() > 0, (seed, label)


def test_the_refusal_comes_before_tensorflow(tmp_path: Path) -> None:
    """`tuwen train` has not even imported it when it says what is wrong."""
    corpus = _corpus(tmp_path / "corpus", _few_rows)
    told = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            _COMMAND,
            *("train", str(corpus), "--out", str(tmp_path / "models")),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "1 False\n"
    assert "10 of each are the least" in told.stderr
