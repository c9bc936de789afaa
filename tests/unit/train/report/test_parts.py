import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.bundle import load
from inference.classifier import Classifier
from tests.unit.train.report.trained import BROKEN, Trained
from train.evaluation import Answers
from train.report.keywords import keywords
from train.report.posts import as_sent, shortened
from train.report.speed import measure
from train.report.thumbnails import thumbnail
from tuwen.command import run


def test_a_post_is_judged_by_all_that_it_has() -> None:
    """Both where both are there, else the one."""
    nan = np.nan
    scores = {
        "fused": np.array([[0.9, 0.1], [nan, nan], [nan, nan]]),
        "text": np.array([[0.5, 0.5], [0.2, 0.8], [nan, nan]]),
        "image": np.array([[0.6, 0.4], [nan, nan], [0.3, 0.7]]),
    }
    found = as_sent(Answers(scores, None))
    assert found.tolist() == [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]


def test_a_long_text_is_cut() -> None:
    """A post may have 10,000 characters."""
    assert shortened("长" * 10_000) == "长" * 300 + "…"
    assert shortened("短") == "短"
    assert shortened(None) is None


def test_keywords_are_words_with_weight_and_shared_ones_are_told() -> None:
    """Each label by itself; a label without texts has none."""
    found = keywords({"a": ["早餐好吃，酒店干净"], "b": ["酒店很脏，失望"], "c": []})
    by_label = {each.label: {word.word: word.shared for word in each.words} for each in found}
    assert by_label["a"]["酒店"]
    assert by_label["b"]["酒店"]
    assert not by_label["a"]["早餐"]
    assert by_label["c"] == {}
    assert [each.texts for each in found] == [1, 1, 0]


def test_keywords_are_cut_with_the_user_words_of_the_training() -> None:
    """A word that the classifier reads whole is not taken apart on the page."""
    texts = {"a": ["住在苹果西瓜酒店"]}
    [plain], [own] = keywords(texts), keywords(texts, ["苹果西瓜酒店 9"])
    assert "苹果西瓜酒店" not in {word.word for word in plain.words}
    assert "苹果西瓜酒店" in {word.word for word in own.words}


def test_a_thumbnail_is_drawn_anew_and_small(trained: Trained, tmp_path: Path) -> None:
    """Whatever the file holds; one that cannot be decoded has none."""
    large = tmp_path / "large.jpg"
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    Image.effect_noise((2000, 900), 90).save(large, exif=exif)
    found = thumbnail(large)
    assert found is not None
    assert found.startswith("data:image/jpeg;base64,")
    assert len(found) < 12_000
    assert thumbnail(trained.corpus / BROKEN) is None


def test_speed_is_of_the_fastest_round_and_of_posts_that_can_be_served(trained: Trained) -> None:
    """By a clock whose every round takes a second longer."""
    ticks = itertools.count()
    image = (trained.corpus / "images" / "0.png").read_bytes()
    posts = [("好", image), ("坏", b"no picture"), ("好", image)]
    found = measure(Classifier(load(trained.bundle)), posts, lambda: float(next(ticks) ** 2))
    assert found is not None
    assert (found.posts, found.decoding, found.features, found.scores) == (2, 5e5, 6.5e6, 12.5e6)
    assert found.total == pytest.approx(19.5e6)
    assert measure(Classifier(load(trained.bundle)), [("坏", b"x")], lambda: 0.0) is None


def test_the_command_writes_the_page_beside_the_models(
    trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Or where it is told to; what does not belong together is one line."""
    page = tmp_path / "report.html"
    told = ["report", str(trained.models), "--out", str(page), "--language", "zh"]
    assert run(told) == 0
    assert f"report in {page}" in capsys.readouterr().out
    assert 'lang="zh-Hans"' in page.read_text(encoding="utf-8")
    assert run(["report", str(tmp_path)]) == 1
    refused = capsys.readouterr().err.splitlines()[-1]
    assert "models.json cannot be read" in refused
