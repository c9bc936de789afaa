"""What the heads of a CNN are taught: labels, and opinions of CNNs that never saw the row."""

from dataclasses import replace

import numpy as np
import pytest

from train.cnn import LABEL_HEAD, TARGET_HEAD, Heads
from train.image_rows import ImageRows


def _rows(heads: Heads, opinions: list[list[float]] | None = None) -> ImageRows:
    return ImageRows(
        ("a", "b"),
        np.zeros((2, 1, 1, 3), np.uint8),
        np.array([1, 0]),
        np.array([2, -1]),
        heads,
        np.zeros(2, np.int64),
        None if opinions is None else np.array(opinions),
    )


def test_without_opinions_the_labels_are_taught() -> None:
    """Each row has all of its own class; nothing where nothing tells what the image shows."""
    taught = _rows(Heads(2, 3)).taught("compact")
    assert {head: shares.tolist() for head, shares in taught.items()} == {
        LABEL_HEAD: [[0, 1], [1, 0]],
        TARGET_HEAD: [[0, 0, 1], [0, 0, 0]],
    }


def test_opinions_are_half_of_what_is_taught() -> None:
    """Each head has its own columns; what nothing tells of stays untaught."""
    even, sure = [0.0, 0.0], [50.0, 0.0, 0.0]
    taught = _rows(Heads(2, 3), [even + sure, even + sure]).taught("compact")
    assert taught[LABEL_HEAD] == pytest.approx(np.array([[0.25, 0.75], [0.75, 0.25]]))
    assert taught[TARGET_HEAD] == pytest.approx(np.array([[0.5, 0, 0.5], [0, 0, 0]]))


def test_one_score_speaks_of_the_second_label() -> None:
    """The brief's CNN has a sigmoid for two labels, and no second head."""
    taught = _rows(Heads(2, 3), [[np.log(3)], [-50.0]]).taught("brief")
    assert taught[LABEL_HEAD] == pytest.approx(np.array([[0.125, 0.875], [1, 0]]))
    assert set(taught) == {LABEL_HEAD}


def test_a_row_is_taught_by_the_weight_of_its_class() -> None:
    """All rows of a label count as much as those of any other; what is unknown counts nothing."""
    rows = replace(
        _rows(Heads(2, 3)),
        ids=tuple("abcd"),
        labels=np.array([0, 0, 0, 1]),
        targets=np.array([2, -1, 2, 0]),
    )
    taught = rows.taught("compact", "balanced")
    assert taught[LABEL_HEAD].sum(axis=0) == pytest.approx(np.array([2, 2]))
    assert taught[TARGET_HEAD].sum(axis=0) == pytest.approx(np.array([1.5, 0, 1.5]))
    assert taught[TARGET_HEAD][1].tolist() == [0, 0, 0]


def test_chosen_rows_keep_their_opinions() -> None:
    """As they keep their labels."""
    rows = _rows(Heads(2, None), [[1.0, 2.0], [3.0, 4.0]]).chosen(np.array([1]))
    assert rows.opinions is not None
    assert (rows.ids, rows.labels.tolist(), rows.opinions.tolist()) == (("b",), [0], [[3.0, 4.0]])
