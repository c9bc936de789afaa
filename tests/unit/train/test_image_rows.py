"""What the heads of a CNN are taught: labels, and opinions of CNNs that never saw the row."""

from dataclasses import replace

import numpy as np
import pytest

from train.cnn import LABEL_HEAD, TARGET_HEAD, Heads
from train.image_rows import ImageRows
from train.settings import Cnn

CNNS: tuple[Cnn, ...] = ("compact", "brief")


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


def test_what_is_added_while_learning_is_how_frequent_each_class_is() -> None:
    """Where labels count alike; nothing where rows do. A sigmoid has the difference of two."""
    rows = replace(
        _rows(Heads(2, 3)),
        ids=tuple("abcd"),
        labels=np.array([0, 0, 0, 1]),
        targets=np.array([2, -1, 2, 0]),
    )
    added = rows.adjustments("compact", "balanced")
    assert np.exp(added[LABEL_HEAD]) == pytest.approx(np.array([0.75, 0.25]))
    assert np.exp(added[TARGET_HEAD]) == pytest.approx(np.array([1 / 3, 0.5 / 3, 2 / 3]))
    assert np.exp(rows.adjustments("brief", "balanced")[LABEL_HEAD]) == pytest.approx([1 / 3])
    for cnn in CNNS:
        assert not any(shift.any() for shift in rows.adjustments(cnn, "none").values())


def test_opinions_are_taught_as_what_is_likely_here() -> None:
    """An opinion that both labels are as likely as not says that the frequent one is likelier."""
    rows = _rows(Heads(2, None), [[0.0, 0.0]] * 4)
    rows = replace(rows, ids=tuple("abcd"), labels=np.array([0, 0, 0, 1]), targets=np.full(4, -1))
    taught = rows.taught("compact", "balanced")[LABEL_HEAD]
    assert taught[0] == pytest.approx(np.array([1.75, 0.25]) / 2)


def test_chosen_rows_keep_their_opinions() -> None:
    """As they keep their labels."""
    rows = _rows(Heads(2, None), [[1.0, 2.0], [3.0, 4.0]]).chosen(np.array([1]))
    assert rows.opinions is not None
    assert (rows.ids, rows.labels.tolist(), rows.opinions.tolist()) == (("b",), [0], [[3.0, 4.0]])
