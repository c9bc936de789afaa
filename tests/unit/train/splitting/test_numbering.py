"""Labels, as they may be given, and the numbers that they get."""

from typing import Any

import pytest

from train.errors import CorpusError
from train.splitting.numbering import numbered
from train.splitting.rows_file import Given


def _numbered(*labels: Any) -> list[tuple[int, str | None]]:
    rows = [Given(f"line {n}", {"label": label}) for n, label in enumerate(labels, start=1)]
    return [(each.label, each.name) for each in numbered(rows)]


def test_numbers_from_0_stay_as_they_are() -> None:
    """As JSON has them or as a table does; they have no name of their own."""
    assert _numbered(1, 0, 2, 1) == [(1, None), (0, None), (2, None), (1, None)]
    assert _numbered("1", " 0") == [(1, None), (0, None)]


def test_names_are_numbered_in_their_order() -> None:
    """Which does not depend on the order of the rows."""
    assert _numbered("b", "a", "b", "c") == [(1, "b"), (0, "a"), (1, "b"), (2, "c")]
    assert _numbered("差评", "好评") == [(1, "差评"), (0, "好评")]


def test_numbers_that_do_not_begin_at_0_are_names() -> None:
    """In the order of their size: 10 stars are more than 2."""
    assert _numbered(10, 2, -1) == [(2, "10"), (1, "2"), (0, "-1")]


@pytest.mark.parametrize("label", [1.5, True, ["a"], "  "])
def test_what_is_neither_number_nor_name_is_refused(label: Any) -> None:
    """By its line."""
    with pytest.raises(CorpusError, match="line 2"):
        _numbered("a", label)
