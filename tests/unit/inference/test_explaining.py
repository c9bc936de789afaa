from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.classifier import Classifier
from inference.explaining import GRID, SHOWN_MAX, WORDS_MAX, explain
from tests.tiny_bundle import SIDE

TEXTS = st.none() | st.text(st.sampled_from("好坏很一般房间服务， x"), max_size=12)
IMAGES = st.none() | st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
)


def test_the_word_that_decides_is_named_first(classifier: Classifier) -> None:
    """Wherever it stands, and each time that it does."""
    why = explain(classifier, "房间坏，服务坏，很", None)

    assert why.label == "消极"
    assert why.words[0].word == "坏"
    without = classifier.classify(["房间 ，服务 ，很"], [None]).scores[0, 2]
    assert why.words[0].effect == pytest.approx(why.score - float(without))
    assert {word.word: word.effect for word in why.words[1:]} == {
        "房间": 0.0, "很": 0.0, "，": 0.0, "服务": 0.0
    }  # fmt: skip


def test_a_word_that_speaks_against_the_label_is_below_zero(classifier: Classifier) -> None:
    """It is told of by its size, too."""
    why = explain(classifier, "好，好，好，坏", None)

    assert why.label == "积极"
    assert [(each.word, each.effect > 0) for each in why.words[:2]] == [("好", True), ("坏", False)]


def test_the_place_that_decides_stands_where_it_lies(classifier: Classifier) -> None:
    """Rows from the top, columns from the left; the mean is taken of the whole picture."""
    pixels = np.full((SIDE, SIDE, 3), 100, np.uint8)
    pixels[4:6, 2:4] = 255
    why = explain(classifier, None, pixels)

    assert why.label == "消极"
    grid = np.array(why.places)
    assert grid.shape == (GRID, GRID)
    assert np.unravel_index(np.abs(grid).argmax(), grid.shape) == (2, 1)
    assert grid[2, 1] < 0


@settings(max_examples=60, deadline=None)
@given(text=TEXTS, pixels=IMAGES)
def test_a_modality_that_is_absent_is_not_explained(
    classifier: Classifier, text: str | None, pixels: np.ndarray | None
) -> None:
    """What is explained is the likeliest label of the post, at its very score."""
    found = classifier.classify([text], [pixels])
    why = explain(classifier, text, pixels)

    assert (bool(why.words), bool(why.places)) == tuple(found.present[0].tolist())
    assert why.label == classifier.labels[int(found.scores[0].argmax())]
    assert why.score == float(found.scores[0].max())
    assert all(-1 <= word.effect <= 1 for word in why.words)
    sizes = [abs(word.effect) for word in why.words]
    assert sizes == sorted(sizes, reverse=True)


def test_a_long_text_is_asked_of_so_many_words(classifier: Classifier) -> None:
    """And says how many are left."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [f"{a}{b}q" for a, b in product(letters, letters)][: WORDS_MAX + 9]
    why = explain(classifier, "，".join(["好", *words]), None)

    assert why.words[0].word == "好"
    assert len(why.words) == SHOWN_MAX
    assert why.words_unasked == len(words) + 2 - WORDS_MAX
