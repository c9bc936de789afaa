"""Times of rows, in the forms that people write them in."""

from typing import Any

import pytest

from train.errors import CorpusError
from train.splitting.moments import moments
from train.splitting.rows_file import Given


def _moments(*times: Any) -> list[float]:
    rows = [Given(f"line {n}", {"time": time}) for n, time in enumerate(times, start=1)]
    return [float(each) for each in moments(rows)]


def test_dates_are_put_in_order_whatever_their_zone() -> None:
    """Without a zone they are UTC."""
    one, same, later = _moments("2026-03-01T08:00:00+08:00", "2026-03-01", "2026-03-01 00:00:01")
    assert (same - one, later - one) == (0, 1)


def test_numbers_are_taken_as_they_are() -> None:
    """Of JSON and of a table."""
    assert _moments(3, "2.5", 1700000000000) == [3, 2.5, 1700000000000]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("2026-03-01", None), "line 2: the row has no time"),
        (("2026-03-01", ""), "line 2: the row has no time"),
        (("2026-03-01", "gestern"), "line 2: time 'gestern' is neither"),
        (("2026-03-01", "nan"), "line 2: time 'nan' is neither"),
        (("2026-03-01", True), "line 2: time True is neither"),
        (("2026-03-01", 7), "numbers and dates: 7 at line 2, and '2026-03-01' at line 1"),
    ],
)
def test_what_is_no_time_is_refused(times: tuple[Any, ...], message: str) -> None:
    """By its line."""
    with pytest.raises(CorpusError, match=message):
        _moments(*times)
