from collections.abc import Sequence
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import inference.classifier
from inference.classifier import CELLS_MAX, Classifier, chunks
from tests.tiny_bundle import SIDE

BRIGHT = np.full((SIDE, SIDE, 3), 250, np.uint8)
DARK = np.full((SIDE, SIDE, 3), 5, np.uint8)

Pixels = NDArray[np.uint8]
TEXTS = st.none() | st.text(st.sampled_from("好坏很一般房间服务 x"), max_size=12)
IMAGES = st.none() | st.integers(0, 255).map(
    lambda level: np.full((SIDE, SIDE, 3), level, np.uint8)
)
POSTS = st.lists(st.tuples(TEXTS, IMAGES), min_size=1, max_size=30)


def labels_of(
    classifier: Classifier, texts: Sequence[str | None], images: Sequence[Pixels | None]
) -> list[str]:
    """The label of each post."""
    found = classifier.classify(texts, images).scores.argmax(axis=1)
    return [classifier.labels[index] for index in found]


def test_posts_are_labelled_by_what_they_hold(classifier: Classifier) -> None:
    """By text, by image, by both, and by the prior where there is neither."""
    texts = ["很好", "坏", None, None, "一般", None]
    images = [None, None, BRIGHT, DARK, BRIGHT, None]
    assert labels_of(classifier, texts, images) == [
        "积极", "消极", "积极", "消极", "中性", "积极",
    ]  # fmt: skip


def test_scores_say_what_was_present(classifier: Classifier) -> None:
    """A text of white space alone is none; the scores sum to 1."""
    scores = classifier.classify(["好", " \t", None, ""], [BRIGHT, DARK, None, None])
    assert scores.present.tolist() == [[True, True], [False, True], [False, False], [False, False]]
    assert scores.scores.shape == (4, 3)
    assert scores.scores.dtype.name == "float32"
    assert np.allclose(scores.scores.sum(axis=1), 1)
    assert scores.weights is None


def test_no_posts_are_no_scores(classifier: Classifier) -> None:
    """An empty batch is a batch."""
    assert classifier.classify([], []).scores.shape == (0, 3)


@settings(max_examples=60, deadline=None)
@given(posts=POSTS, chance=st.randoms(use_true_random=False), cells=st.sampled_from([4, CELLS_MAX]))
def test_features_of_some_rows_are_those_of_a_batch_of_them(
    classifier: Classifier, posts: list[tuple[Any, Any]], chance: Random, cells: int
) -> None:
    """Pictures that several of them share among them, and whichever texts run together."""
    known = [classifier.features([None], [image]) for image in (BRIGHT, DARK)]
    seen = [classifier.scores(each).pictures[0][1] for each in known]
    texts = [text for text, _ in posts]
    shared = [chance.choice([image, BRIGHT, DARK]) for _, image in posts]
    vectors = [chance.choice([None, None, *seen]) for _ in posts]
    start, stop = sorted(chance.sample(range(len(posts) + 1), 2))
    with patch.object(inference.classifier, "CELLS_MAX", cells):
        some = classifier.features(texts, shared, vectors).between(start, stop)
    here = slice(start, stop)
    alone = classifier.features(texts[here], shared[here], vectors[here])
    assert some.rows == stop - start
    assert (some.present == alone.present).all()
    found, wanted = classifier.scores(some), classifier.scores(alone)
    assert np.abs(found.scores - wanted.scores).max() < 1e-6
    assert [row for row, _ in found.pictures] == [row for row, _ in wanted.pictures]


def test_texts_and_images_must_be_of_one_batch(classifier: Classifier) -> None:
    """Else the caller has lost count."""
    with pytest.raises(ValueError, match="no batch"):
        classifier.features(["好"], [])


@settings(max_examples=60, deadline=None)
@given(posts=POSTS)
def test_batch_mates_change_nothing(classifier: Classifier, posts: list[tuple[Any, Any]]) -> None:
    """Nor does padding: alone and among others a post scores the same within float32."""
    texts, images = [text for text, _ in posts], [image for _, image in posts]
    together = classifier.classify(texts, images).scores
    for row, (text, image) in enumerate(posts):
        alone = classifier.classify([text], [image]).scores[0]
        assert np.abs(together[row] - alone).max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(
    rubbish=st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -7.0]),
    present=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=6),
)
def test_garbage_in_absent_inputs_changes_no_bit(
    classifier: Classifier, rubbish: float, present: list[tuple[bool, bool]]
) -> None:
    """Fusion selects, and never multiplies by a mask: 0 times NaN is NaN."""
    mask = np.array(present)
    inputs = {
        f"{name}.scores": np.random.default_rng(1).normal(size=(len(mask), 3)).astype(np.float32)
        for name in ("text", "image")
    }
    clean = {name: array.copy() for name, array in inputs.items()}
    for column, name in enumerate(inputs):
        clean[name][~mask[:, column]] = 0
        inputs[name][~mask[:, column]] = rubbish
    fusion = classifier._graphs["fusion"]
    found = fusion.run({**inputs, "present": mask}, ["scores"])["scores"]
    expected = fusion.run({**clean, "present": mask}, ["scores"])["scores"]
    assert found.tobytes() == expected.tobytes()


@given(lengths=st.lists(st.integers(0, 20_000), min_size=1, max_size=80))
def test_chunks_are_bounded_and_hold_every_row_once(lengths: list[int]) -> None:
    """Rows times the longest is at most the bound; a longer row runs alone."""
    parts = chunks(np.array(lengths, np.int64))
    assert sorted(place for part in parts for place in part.tolist()) == list(range(len(lengths)))
    for part in parts:
        longest = max(lengths[place] for place in part.tolist())
        assert len(part) * longest <= CELLS_MAX or len(part) == 1


def test_rows_that_run_together_stand_in_their_order() -> None:
    """However long their texts are: so a part of a batch is a slice of each chunk."""
    lengths = np.array([5, 900, 7, 800, 6, 1000] * 10, np.int64)
    parts = chunks(lengths)
    assert len(parts) > 1
    assert all(part.tolist() == sorted(part.tolist()) for part in parts)


def test_a_text_of_ten_thousand_characters_runs_among_short_ones(classifier: Classifier) -> None:
    """In chunks of its own, and every row gets its own scores back."""
    texts = ["好", "很" * 4000 + "坏", "一般", "坏 " * 5000, "好"] * 10
    assert labels_of(classifier, texts, [None] * 50) == [
        "积极", "消极", "中性", "消极", "积极",
    ] * 10  # fmt: skip


def test_images_run_a_few_at_a_time(classifier: Classifier) -> None:
    """More than one run of the graph, the last not full."""
    images = [BRIGHT if number % 3 else DARK for number in range(21)]
    expected = ["积极" if number % 3 else "消极" for number in range(21)]
    assert labels_of(classifier, [None] * 21, list(images)) == expected


def test_stages_hold_every_output_by_name(classifier: Classifier) -> None:
    """Zeros where a modality is absent."""
    stages = classifier.stages(classifier.features(["好", None], [None, BRIGHT]))
    assert sorted(stages) == ["image.scores", "present", "scores", "text.scores"]
    assert (stages["text.scores"][1] == 0).all()
    assert (stages["image.scores"][0] == 0).all()
