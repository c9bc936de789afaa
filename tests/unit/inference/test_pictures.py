"""Pictures that the image graph has seen are not shown to it again, and change no bit."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from inference.bundle import load
from inference.classifier import Classifier, Scores
from inference.graph import Arrays
from inference.pictures import SeenLayout, pictures
from schemas.manifest import TensorSpec
from tests.tiny_bundle import SIDE, write_tiny_bundle

Pixels = NDArray[np.uint8]

PICTURES = [
    np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), np.uint8) for number in range(9)
]
POSTS = st.lists(
    st.tuples(st.sampled_from([None, "好", "坏 很"]), st.none() | st.integers(0, 8), st.booleans()),
    min_size=1,
    max_size=40,
)


class Counting:
    """An image graph that tells how many pictures it was shown."""

    def __init__(self, classifier: Classifier) -> None:
        self._graph = classifier._graphs["image"]
        self.shown: list[Pixels] = []

    def run(self, inputs: Mapping[str, NDArray[Any]], outputs: Sequence[str]) -> Arrays:
        """Note the pictures, and show them."""
        self.shown += list(inputs["pixels"])
        return self._graph.run(inputs, outputs)


@pytest.fixture
def counting(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> Counting:
    """The tiny bundle's image graph, watched."""
    graph = Counting(classifier)
    monkeypatch.setattr(classifier, "_graphs", {**classifier._graphs, "image": graph})
    return graph


def seen_by_row(scores: Scores) -> dict[int, NDArray[np.float32]]:
    """What is to be kept, by row."""
    return {row: vector.copy() for row, vector in scores.pictures}


def test_a_picture_that_many_posts_have_is_shown_once(
    classifier: Classifier, counting: Counting
) -> None:
    """One and the same array; each post has its scores, as if it were alone with it."""
    one, other = PICTURES[:2]
    images = [one, None, other, one, one, other.copy()]
    found = classifier.classify([None] * 6, images)
    assert len(counting.shown) == 3
    assert [row for row, _ in found.pictures] == [0, 2, 5]
    assert found.present[:, 1].tolist() == [True, False, True, True, True, True]
    alone = classifier.classify([None] * 2, [one, other]).scores
    for row, expected in ((0, 0), (3, 0), (4, 0), (2, 1), (5, 1)):
        assert np.abs(found.scores[row] - alone[expected]).max() < 1e-6


def test_a_picture_that_was_seen_is_not_shown(classifier: Classifier, counting: Counting) -> None:
    """Nor is it given out to be kept once more; pixels beside what was seen are not looked at."""
    fresh = classifier.classify([None, "好"], [PICTURES[0], PICTURES[1]])
    kept = seen_by_row(fresh)
    counting.shown.clear()
    features = classifier.features([None, "好"], [None, PICTURES[5]], [kept[0], kept[1]])
    again = classifier.scores(features)
    assert (counting.shown, list(again.pictures)) == ([], [])
    assert again.scores.tobytes() == fresh.scores.tobytes()
    assert again.present.tolist() == fresh.present.tolist()


@settings(max_examples=60, deadline=None)
@given(posts=POSTS)
def test_what_was_seen_changes_no_bit(
    classifier: Classifier, posts: list[tuple[str | None, int | None, bool]]
) -> None:
    """A batch of posts seen, not seen, without image, twice in it: as the batch did the first time.

    Fresh ones run in other company than before, which is held to float32's rounding elsewhere.
    """
    texts = [text for text, _, _ in posts]
    images = [None if number is None else PICTURES[number] for _, number, _ in posts]
    first = classifier.classify(texts, images)
    vectors = {id(images[row]): vector for row, vector in seen_by_row(first).items()}
    known = [vectors.get(id(image)) if image is not None else None for image in images]
    all_seen = classifier.scores(classifier.features(texts, [None] * len(texts), known))
    assert all_seen.scores.tobytes() == first.scores.tobytes()
    mixed = [vector if seen else None for vector, (_, _, seen) in zip(known, posts, strict=True)]
    some_seen = classifier.scores(classifier.features(texts, images, mixed))
    assert some_seen.present.tolist() == first.present.tolist()
    assert np.abs(some_seen.scores - first.scores).max() < 1e-6


@pytest.mark.parametrize(
    "sides", [[(3,)], [(3,), (4,)], [(2, 5), (3,)], [(2, 5), (3,), (1,)]], ids=str
)
def test_vectors_hold_every_output_whatever_its_shape(sides: list[tuple[int, ...]]) -> None:
    """Scores, embeddings, regions: what is gathered and spread again is what was there."""
    specs = {f"o{n}": TensorSpec("tensor(float)", ("N", *each)) for n, each in enumerate(sides)}
    random = np.random.default_rng(4)
    outputs: Arrays = {
        f"o{n}": random.normal(size=(5, *each)).astype(np.float32) for n, each in enumerate(sides)
    }
    layout = SeenLayout(specs)
    one, other = PICTURES[:2]
    gathered = layout.gathered(pictures([None, one, other, one, None], [None] * 5), outputs)
    assert [row for row, _ in gathered] == [1, 2]
    blank = {name: np.zeros((3, *array.shape[1:]), np.float32) for name, array in outputs.items()}
    vectors = [gathered[1][1], None, gathered[0][1]]
    layout.spread(pictures([None] * 3, vectors), blank)
    for name, array in outputs.items():
        assert (
            blank[name].tobytes()
            == np.stack([array[2], np.zeros_like(array[0]), array[1]]).tobytes()
        )


def test_an_array_that_is_gone_is_not_taken_for_the_next_one() -> None:
    """Rows of one array are new objects each time, at the address of the one before."""
    batch = np.stack(PICTURES[:4])
    given_rows: Any = batch
    assert pictures(given_rows, [None] * 4).of.tolist() == [0, 1, 2, 3]


def test_a_bundle_is_told_from_any_other(tmp_path: Path, classifier: Classifier) -> None:
    """By all that its manifest says: name and version, and through hashes each file."""
    identities = {classifier.identity}
    for number, change in enumerate([{"version": "2"}, {"name": "other"}, {"raises_for": "坏"}]):
        write_tiny_bundle(tmp_path / str(number), **change)
        identities.add(Classifier(load(tmp_path / str(number))).identity)
    assert len(identities) == 4
    write_tiny_bundle(tmp_path / "same")
    assert Classifier(load(tmp_path / "same")).identity in identities
