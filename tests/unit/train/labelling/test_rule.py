"""The rule that a text is read by: each polar word, what changes it, and when to say nothing."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.errors import SettingError
from train.labelling.rule import Modifiers, Polarity, RuleSettings, Weighed, decide, weigh

POLARITIES = {"好": 1.0, "好吃": 1.0, "满意": 2.0, "差": -1.0, "难吃": -1.0, "失望": -3.0}
MODIFIERS = Modifiers(frozenset({"不", "没有"}), {"很": 1.5, "太": 2.0, "有点": 0.5, "好": 1.5})
PLAIN = ("这家", "店", "的", "菜")

words = st.sampled_from([*POLARITIES, *MODIFIERS.negations, *MODIFIERS.degrees, *PLAIN])
clauses = st.lists(st.lists(words, max_size=8), max_size=6)
windows = st.integers(0, 6)


def counted(clause: Sequence[str], window: int = 4) -> float:
    """What speaks for a clause, less what speaks against it."""
    weighed = weigh([clause], POLARITIES, MODIFIERS, window)
    return weighed.positive - weighed.negative


@pytest.mark.parametrize(
    ("clause", "value"),
    [
        (["好吃"], 1.0),
        (["很", "好吃"], 1.5),
        (["不", "好吃"], -1.0),
        (["很", "不", "满意"], -3.0),
        (["不", "是", "很", "满意"], -3.0),
        (["没有", "不", "好吃"], 1.0),
        (["太", "难吃"], -2.0),
        (["有点", "失望"], -1.5),
        (["这家", "店"], 0.0),
        ([], 0.0),
    ],
    ids=str,
)
def test_a_polar_word_counts_its_value_times_degree_times_negation(
    clause: list[str], value: float
) -> None:
    """Each negation turns it round, each degree word multiplies it."""
    assert counted(clause) == value


def test_a_word_beyond_the_window_changes_nothing() -> None:
    """Nor does any with a window of 0."""
    clause = ["不", "这家", "店", "好吃"]
    assert [counted(clause, window) for window in (0, 2, 3)] == [1.0, 1.0, -1.0]


def test_a_word_before_another_polar_word_belongs_to_that_one() -> None:
    """不喜欢难吃: the negation is used up."""
    assert counted(["不", "满意", "难吃"]) == -3.0


def test_what_stands_in_another_clause_changes_nothing() -> None:
    """不，好吃 is two clauses."""
    weighed = weigh([["不"], ["好吃"]], POLARITIES, MODIFIERS, 4)
    assert weighed == Weighed(1.0, 0.0)


def test_a_polar_word_right_before_another_may_be_its_degree() -> None:
    """好难吃 is very bad, and not good and bad; 好菜 and 好 alone are good."""
    assert counted(["好", "难吃"]) == -1.5
    assert counted(["好", "菜"]) == 1.0
    assert counted(["很", "好"]) == 1.5


@pytest.mark.parametrize(
    ("word", "value"), [("不太好", -2.0), ("很好", 1.5), ("没有满意", -2.0), ("不菜", 0.0)]
)
def test_a_modifier_and_a_known_word_in_one_are_taken_apart(word: str, value: float) -> None:
    """Jieba holds 不太好 and 太差 for one word."""
    assert counted([word]) == value


def test_a_word_of_the_lexicon_stays_whole() -> None:
    """Whatever it begins with: it is there to say what the whole word says."""
    whole = {**POLARITIES, "不满意": -1.0}
    assert weigh([["不满意"]], whole, MODIFIERS, 4) == Weighed(0.0, 1.0)


@given(clauses, windows)
def test_the_lean_is_bounded_and_exists_with_a_polar_word_only(
    found: list[list[str]], window: int
) -> None:
    """-1 … 1; without a polar word there is none."""
    lean = weigh(found, POLARITIES, MODIFIERS, window).lean
    polar = any(word in POLARITIES for clause in found for word in clause)
    assert (lean is not None) == polar
    assert lean is None or -1 <= lean <= 1


@given(clauses, windows, st.randoms())
def test_the_order_of_clauses_does_not_matter(
    found: list[list[str]], window: int, chance: Random
) -> None:
    """To the last bit."""
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert weigh(found, POLARITIES, MODIFIERS, window) == weigh(
        shuffled, POLARITIES, MODIFIERS, window
    )


@given(st.sampled_from(sorted(POLARITIES)), st.sampled_from(sorted(MODIFIERS.negations)))
def test_a_negation_right_before_a_polar_word_turns_it_round(word: str, negation: str) -> None:
    """By as much as the word itself counts."""
    assert counted([negation, word]) == -counted([word])


@given(clauses, windows)
def test_opposite_polarities_give_the_opposite_lean(found: list[list[str]], window: int) -> None:
    """The rule favours neither side."""
    opposite = {word: -value for word, value in POLARITIES.items()}
    one = weigh(found, POLARITIES, MODIFIERS, window)
    assert weigh(found, opposite, MODIFIERS, window) == Weighed(one.negative, one.positive)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.01, 1))
def test_a_lean_below_the_least_is_no_label(
    positive: float, negative: float, lean_min: float
) -> None:
    """From the bound on the side that weighs more gives the label."""
    weighed = Weighed(positive, negative)
    said = decide(weighed, RuleSettings(lean_min=lean_min))
    lean = weighed.lean
    if lean is None or abs(lean) < lean_min:
        assert said is None
    else:
        assert said is (Polarity.POSITIVE if positive > negative else Polarity.NEGATIVE)


def test_a_third_is_enough_by_default() -> None:
    """Twice as much on one side as on the other; less is too little."""
    assert decide(Weighed(2, 1), RuleSettings()) is Polarity.POSITIVE
    assert decide(Weighed(1, 2), RuleSettings()) is Polarity.NEGATIVE
    assert decide(Weighed(1.9, 1), RuleSettings()) is None
    assert decide(Weighed(1, 1), RuleSettings()) is None


def test_neutral_is_a_text_without_a_polar_word_where_it_is_asked_for() -> None:
    """A text that leans too little is not: both sides speak in it."""
    asked = RuleSettings(neutral=True)
    assert decide(Weighed(0, 0), RuleSettings()) is None
    assert decide(Weighed(0, 0), asked) is Polarity.NEUTRAL
    assert decide(Weighed(1, 1), asked) is None


@pytest.mark.parametrize(
    ("field", "value"), [("window", -1), ("window", 21), ("lean_min", 0.0), ("lean_min", 1.1)]
)
def test_an_impossible_setting_is_refused_by_its_name(field: str, value: float) -> None:
    """Not a number is impossible, too."""
    with pytest.raises(SettingError, match=field):
        RuleSettings(**{field: value})  # type: ignore[arg-type]  # one field of several types.
    with pytest.raises(SettingError, match="lean_min"):
        RuleSettings(lean_min=float("nan"))
