"""Labels by agreement, and what is measured on them."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from train.labelling.figures import combine, kappa, lexicon_figures, pair_figures
from train.labelling.posts import SourcePost
from train.labelling.rule import Polarity

POSITIVE, NEUTRAL, NEGATIVE = Polarity
NAMES = {POSITIVE: "积极", NEGATIVE: "消极"}
SAID = (POSITIVE, NEGATIVE, NEUTRAL, None)


def post(label: str | None, text_label: str | None = None) -> SourcePost:
    """One that people labelled, or not."""
    return SourcePost("train", "a", "x", None, label, text_label, {})


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ((POSITIVE, POSITIVE), POSITIVE),
        ((POSITIVE, None), POSITIVE),
        ((NEUTRAL, NEGATIVE), NEGATIVE),
        ((POSITIVE, NEGATIVE), None),
        ((POSITIVE, NEGATIVE, NEGATIVE), None),
        ((NEUTRAL, NEUTRAL), NEUTRAL),
        ((NEUTRAL, None), None),
        ((None, None), None),
    ],
)
def test_lexicons_label_where_all_that_do_not_abstain_agree(
    said: tuple[Polarity | None, ...], label: Polarity | None
) -> None:
    """One that finds no polar word is not heard where another finds some."""
    assert combine(said) is label


def test_the_order_of_lexicons_does_not_matter_and_one_alone_is_heard() -> None:
    """Of any three."""
    for one, two, three in product(SAID, repeat=3):
        assert combine((one, two, three)) is combine((three, one, two))
    assert [combine((said,)) for said in SAID] == list(SAID)


def test_coverage_and_accuracy_are_of_the_labelled_texts() -> None:
    """Accuracy on those of them that people labelled; a label of people that no lexicon gives is
    one that was missed.
    """
    posts = [post("积极", "积极"), post("消极"), post("中性"), post(None), post("积极")]
    said = (POSITIVE, POSITIVE, NEGATIVE, NEGATIVE, None)
    found = lexicon_figures("mine", said, posts, NAMES)
    assert (found.texts, found.labelled, found.coverage) == (5, 4, 0.8)
    assert found.labels == {"积极": 2, "消极": 2}
    assert found.accuracy is not None
    assert (found.accuracy.right, found.accuracy.rows) == (1, 3)
    assert found.text_accuracy is not None
    assert (found.text_accuracy.right, found.text_accuracy.rows) == (1, 1)


def test_without_labels_of_people_there_is_no_accuracy() -> None:
    """Nor when lexicons abstain from all that people labelled."""
    found = lexicon_figures("mine", (POSITIVE, None), [post(None), post("积极")], NAMES)
    assert (found.accuracy, found.text_accuracy) == (None, None)


@given(st.lists(st.tuples(st.sampled_from(Polarity), st.sampled_from(Polarity)), min_size=2))
def test_kappa_is_that_of_scikit_learn(both: list[tuple[Polarity, Polarity]]) -> None:
    """And none where chance alone would agree on all."""
    found = kappa(both)
    if len({each for pair in both for each in pair}) == 1:
        assert found is None
    else:
        assert found == pytest.approx(cohen_kappa_score(*zip(*both, strict=True)))


def test_pairs_are_compared_on_the_texts_that_both_label() -> None:
    """Every two; of no common text there is no agreement."""
    said = {
        "a": (POSITIVE, POSITIVE, NEGATIVE, None),
        "b": (POSITIVE, NEGATIVE, NEGATIVE, POSITIVE),
        "c": (None, None, None, POSITIVE),
    }
    ab, ac, bc = pair_figures(said)
    assert (ab.one, ab.other, ab.texts, ab.agreement) == ("a", "b", 3, 2 / 3)
    assert (ac.texts, ac.agreement, ac.kappa) == (0, None, None)
    assert (bc.agreement, bc.kappa) == (1.0, None)
