from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from features.text import terms_of
from schemas.manifest import FileSpec, TextBlock
from train.altered import ALTERATIONS, Alteration, altered
from train.reference_rows import WIDE_ROWS, reference_rows, wide_rows
from train.reference_terms import reference_terms
from train.rows import Row

TEXTS = ["房间 很干净，服务也好。", "Very good 好吃 3.5", "差"]
TEST = [Row(f"t{n}", f"文本{n}", f"images/{n}.jpg", 0, None, None) for n in range(30)]


def test_a_gate_has_as_many_rows_as_are_asked_for(tmp_path: Path) -> None:
    """Test rows first, half of all at most; the odd ones are always there, with their pictures."""
    rows = reference_rows(TEST, TEXTS, 200, tmp_path)
    kinds = Counter(row.set for row in rows)
    assert (len(rows), kinds["evaluation"], kinds["paired"]) == (200, 30, 3)
    assert len({row.id for row in rows}) == 200
    assert len(reference_rows(TEST, TEXTS, 40, tmp_path)) == 20 + 39
    own = {row.image for row in rows if row.image_in == "reference" and row.image is not None}
    assert own == {file.name for file in tmp_path.iterdir()}


def test_pictures_are_those_of_test_rows(tmp_path: Path) -> None:
    """However many rows show one, the CNN has no more of them to look at."""
    rows = reference_rows(TEST, TEXTS, 1000, tmp_path)
    shown = [row.image for row in rows if row.image_in == "corpus" and row.image is not None]
    assert len(shown) > 200
    assert set(shown) == {row.image for row in TEST}
    alone = reference_rows((), TEXTS, 100, tmp_path)
    assert all(row.image is None for row in alone if row.image_in == "corpus")


def test_without_any_text_the_odd_ones_are_altered(tmp_path: Path) -> None:
    """So that a gate without a corpus has rows too."""
    assert len(reference_rows((), (), 500, tmp_path)) == 500


@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda each: each.__name__)
def test_every_alteration_changes_most_texts(alteration: Alteration) -> None:
    """None is blank, and equal arguments give equal texts."""
    place = list(ALTERATIONS).index(alteration)
    count = len(ALTERATIONS)
    made = altered(TEXTS[:2], 40 * count, 5)
    mine = made[place::count]
    assert made == altered(TEXTS[:2], 40 * count, 5)
    assert all(text.strip() for text in mine)
    assert sum(text not in TEXTS for text in mine) > 30


def test_a_character_many_times_over_is_cut_as_by_jieba() -> None:
    """At three in a row jieba guesses, of two equally good cuts one: no more than two are cut."""
    chance = np.random.default_rng(7)
    words = TextBlock("words", FileSpec("", "", 0))
    for _ in range(2000):
        character = chr(int(chance.integers(0x4E00, 0x9FD6)))
        text = f"服务{character * int(chance.integers(3, 30))}很好"
        assert terms_of(words, [text]) == [reference_terms(words, text)]


def test_wide_rows_are_spread_over_all() -> None:
    """No more than there are, each once."""
    assert wide_rows(3) == [0, 1, 2]
    places = wide_rows(10_000)
    assert (len(places), places[0], places[-1]) == (WIDE_ROWS, 0, 9999)
