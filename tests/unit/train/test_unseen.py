"""Nothing learns from scores of rows that the scorer was fitted on."""

import numpy as np
import pytest

from train.errors import LeakageError
from train.unseen import Fitted, Floats, Unseen, joined, row_ids, unseen_scores


def _scores(model: int) -> Floats:
    return np.full((2, 1), float(model))


def test_rows_that_a_model_was_fitted_on_are_refused() -> None:
    """One of them is enough; the error names the model and the row."""
    fitted = Fitted("CNN of fold 1", 1, frozenset({"a", "b"}))
    with pytest.raises(LeakageError, match=r"CNN of fold 1 .* 1 of the 2 rows .*'b'"):
        unseen_scores(fitted, ["b", "c"], _scores)


def test_a_refused_model_is_not_even_run() -> None:
    """The guard stands before the scores."""

    def fail(_: int) -> Floats:
        raise AssertionError("the model ran")

    with pytest.raises(LeakageError):
        unseen_scores(Fitted("m", 1, frozenset("a")), ["a"], fail)


def test_other_rows_are_scored() -> None:
    """In the order of the ids."""
    unseen = unseen_scores(Fitted("m", 3, frozenset("ab")), ["c", "d"], _scores)
    assert unseen.ids == ("c", "d")
    assert unseen.scores.tolist() == [[3.0], [3.0]]


def test_what_learned_no_labels_may_score_its_rows() -> None:
    """A vocabulary, idf or projection cannot carry a label over."""
    fitted = Fitted("idf", 1, frozenset("ab"), learned_labels=False)
    assert unseen_scores(fitted, ["a", "b"], _scores).scores.shape == (2, 1)


def test_folds_are_joined_in_the_order_asked_for() -> None:
    """Rows of no fold are NaN."""
    parts = [Unseen(("c", "a"), np.array([[3.0], [1.0]])), Unseen(("b",), np.array([[2.0]]))]
    scores = joined(parts, ("a", "b", "c", "d")).scores
    assert scores[:3].tolist() == [[1.0], [2.0], [3.0]]
    assert np.isnan(scores[3]).all()


def test_a_row_of_two_folds_is_a_mistake() -> None:
    """Two folds that score one row are no folds."""
    part = Unseen(("a",), np.array([[1.0]]))
    with pytest.raises(AssertionError, match="two folds"):
        joined([part, part], ("a",))


def test_artefacts_record_sorted_ids() -> None:
    """The same rows are recorded the same."""
    assert row_ids({"b", "a"}) == ("a", "b")
