"""The demo corpus: deterministic, of the stated rates, nothing twice."""

import hashlib
import io
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from schemas.progress import silent
from tuwen.demo_corpus import corpus, generate
from tuwen.demo_corpus.moods import LABEL_NAMES, MOODS, Mood, label_of
from tuwen.demo_corpus.pictures import draw_picture
from tuwen.demo_corpus.plan import plan_posts
from tuwen.demo_corpus.texts import CHARACTERS_MAX, CHARACTERS_MIN, compose, words

TRAIN, TEST = 90, 40
FIELDS = ["id", "text", "image", "label", "label_name", "text_label", "image_label"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus, made once."""
    out = tmp_path_factory.mktemp("demo") / "corpus"
    generate(out, 7, TRAIN, TEST, silent)
    return out


def _rows(folder: Path, half: str) -> list[dict[str, Any]]:
    lines = (folder / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def _digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_equal_seeds_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    """The same seed writes the same files, byte for byte; another seed writes others."""
    generate(tmp_path / "same", 7, TRAIN, TEST, silent)
    generate(tmp_path / "other", 8, TRAIN, TEST, silent)
    assert _digest(tmp_path / "same") == _digest(folder)
    assert _digest(tmp_path / "other") != _digest(folder)


def test_several_processes_draw_what_one_draws(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who draws a picture has no part in how it looks."""
    monkeypatch.setattr(corpus, "_PICTURES_PER_POOL_MIN", 10)
    generate(tmp_path / "pool", 7, TRAIN, TEST, silent)
    assert _digest(tmp_path / "pool") == _digest(folder)


def test_a_row_has_the_fields_of_a_corpus(folder: Path) -> None:
    """Fields, label names, and image paths that exist."""
    for half, posts in (("train", TRAIN), ("test", TEST)):
        rows = _rows(folder, half)
        assert len(rows) == posts
        for row in rows:
            assert list(row) == FIELDS
            assert row["label_name"] == LABEL_NAMES[row["label"]]
            assert (row["text"] is None) == (row["text_label"] is None)
            assert (row["image"] is None) == (row["image_label"] is None)
            assert row["image"] is None or (folder / row["image"]).is_file()


def test_nothing_occurs_twice(folder: Path) -> None:
    """No id, text or picture occurs twice, in one half or in both."""
    rows = _rows(folder, "train") + _rows(folder, "test")
    for field in ("id", "text", "image"):
        values = Counter(row[field] for row in rows if row[field] is not None)
        assert max(values.values()) == 1
    images = [digest for name, digest in _digest(folder).items() if name.startswith("images")]
    assert len(set(images)) == len(images)


def test_a_picture_that_came_twice_is_drawn_anew(tmp_path: Path) -> None:
    """Two pictures of one seed end as two different files."""
    (tmp_path / "images").mkdir()
    twins = [corpus.Picture(f"images/{name}", Mood.GOOD, "one seed") for name in "ab"]
    paths = corpus._draw_all(tmp_path, twins, silent)
    files = [tmp_path / paths[picture.stem] for picture in twins]
    assert files[0].read_bytes() != files[1].read_bytes()
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_the_rates_are_as_stated() -> None:
    """17 % noise and 3 % wrong in each modality, independently; 8 % lack one; none lack both."""
    posts = plan_posts(30_000, Random(1))
    incomplete = sum(post.text is None or post.image is None for post in posts)
    assert not any(post.text is None and post.image is None for post in posts)
    assert incomplete / len(posts) == pytest.approx(0.08, abs=0.01)
    complete = [(post.mood, post.text, post.image) for post in posts if post.text and post.image]
    noisy = [(text is Mood.NONE, image is Mood.NONE) for _, text, image in complete]
    wrong = [text not in (mood, Mood.NONE) for mood, text, _ in complete]
    wrong_images = [image not in (mood, Mood.NONE) for mood, _, image in complete]
    assert sum(text for text, _ in noisy) / len(noisy) == pytest.approx(0.17, abs=0.01)
    assert sum(image for _, image in noisy) / len(noisy) == pytest.approx(0.17, abs=0.01)
    both = sum(text and image for text, image in noisy) / len(noisy)
    assert both == pytest.approx(0.17**2, abs=0.005)
    assert sum(wrong) / len(wrong) == pytest.approx(0.03, abs=0.005)
    assert sum(wrong_images) / len(wrong_images) == pytest.approx(0.03, abs=0.005)
    assert {Counter(post.mood for post in posts)[mood] for mood in MOODS} == {10_000}


@pytest.mark.parametrize("mood", Mood)
def test_texts_keep_their_length_and_vary(mood: Mood) -> None:
    """10 to 60 characters, hardly ever the same twice."""
    chance = Random(3)
    texts = [compose(mood, chance) for _ in range(400)]
    assert all(CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX for text in texts)
    assert len(set(texts)) > 390


def test_filler_shares_no_judgement_with_opinions() -> None:
    """No word that judges occurs in filler."""
    judgements = {
        judged
        for topic in words().topics
        for lists in topic["aspects"].values()
        for mood in ("good", "bad")
        for judged in lists[mood]
        if len(judged) > 1
    }
    chance = Random(5)
    filler = [compose(Mood.NONE, chance) for _ in range(500)]
    assert not [text for text in filler if any(judged in text for judged in judgements)]


@pytest.mark.parametrize("mood", Mood)
def test_pictures_are_small_and_readable(mood: Mood) -> None:
    """A JPEG or PNG of 64 to 96 pixels, equal for equal seeds."""
    image, suffix = draw_picture(mood, "a seed")
    assert draw_picture(mood, "a seed") == (image, suffix)
    opened = Image.open(io.BytesIO(image))
    assert opened.format == {".jpg": "JPEG", ".png": "PNG"}[suffix]
    assert 64 <= opened.width == opened.height <= 96


def test_noise_is_the_class_after_the_last_label() -> None:
    """The fourth kind is no label."""
    assert [label_of(mood) for mood in Mood] == [0, 1, 2, len(LABEL_NAMES)]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    """Nothing that exists is overwritten, and nothing is left beside it."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "kept").write_text("x", encoding="utf-8")
    with pytest.raises(FileExistsError, match="not empty"):
        generate(tmp_path / "corpus", 7, 3, 3, silent)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_a_failure_leaves_no_half_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder appears whole or not at all."""

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(corpus, "_draw", fail)
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path / "corpus", 7, 3, 3, silent)
    assert list(tmp_path.iterdir()) == []
