"""What labels are called, with and without people's own names."""

import pytest

from train.errors import SettingError
from train.labelling.names import label_names
from train.labelling.rule import Polarity

POSITIVE, NEUTRAL, NEGATIVE = Polarity


@pytest.mark.parametrize(
    ("people", "asked", "names"),
    [
        ((), {}, ["积极", "消极"]),
        ((), {NEUTRAL: "中性", NEGATIVE: "坏"}, ["积极", "中性", "坏"]),
        (("negative", "positive"), {}, ["positive", "negative"]),
        (("消极", "积极", "中性"), {}, ["积极", "消极"]),
        (("消极", "积极", "中性"), {NEUTRAL: "中性"}, ["积极", "中性", "消极"]),
        (("Negative",), {}, ["positive", "Negative"]),
        (("差",), {POSITIVE: "好", NEGATIVE: "差"}, ["好", "差"]),
        (("0", "1"), {POSITIVE: "1", NEGATIVE: "0"}, ["1", "0"]),
    ],
)
def test_labels_are_called_as_people_call_them(
    people: tuple[str, ...], asked: dict[Polarity, str | None], names: list[str]
) -> None:
    """Positive first; neutral only where it is asked for."""
    assert list(label_names(people, asked).values()) == names


@pytest.mark.parametrize(
    ("people", "asked", "message"),
    [
        (("0", "1"), {}, "say by --positive which of them"),
        (("差",), {}, "are 差: say by --positive"),
        (("积极", "正面", "消极"), {}, "say by --positive"),
        (("积极", "消极"), {NEUTRAL: "中性"}, "'中性' is none of them"),
        (("积极", "消极"), {POSITIVE: "积极的"}, "--positive: people's labels"),
        ((), {NEUTRAL: "积极"}, "two labels have one name"),
    ],
)
def test_names_that_do_not_fit_are_refused(
    people: tuple[str, ...], asked: dict[Polarity, str | None], message: str
) -> None:
    """With the names that there are, and the option."""
    with pytest.raises(SettingError, match=message):
        label_names(people, asked)
