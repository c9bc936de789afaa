"""The `time` of rows to numbers that can be put in order."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.errors import CorpusError
from train.splitting.rows_file import Given

TIME: Final = "time"


def moments(rows: Sequence[Given]) -> NDArray[np.float64]:
    """float64[N]: numbers as they are, dates in seconds since 1970; without a zone they are UTC.

    Raises CorpusError for a row without a time, a time that cannot be read, and for numbers beside
    dates.
    """
    found = [_moment(row) for row in rows]
    kinds = [isinstance(each, datetime) for each in found]
    if any(kinds) and not all(kinds):
        date, number = rows[kinds.index(True)], rows[kinds.index(False)]
        raise CorpusError(
            f"times are numbers and dates: {number.fields[TIME]!r} at {number.where}, and "
            f"{date.fields[TIME]!r} at {date.where}; write all of them in one form"
        )
    return np.asarray(
        [each.timestamp() if isinstance(each, datetime) else each for each in found], np.float64
    )


def _moment(row: Given) -> float | datetime:
    time: Any = row.fields.get(TIME)
    if time is None or time == "":
        raise CorpusError(f"{row.where}: the row has no time, by which the rows are divided")
    number = _number(time)
    if number is not None:
        return number
    try:
        date = datetime.fromisoformat(str(time).strip())
    except ValueError as error:
        raise CorpusError(
            f"{row.where}: time {time!r} is neither a number nor a date as 2026-03-01 or "
            "2026-03-01T08:30:00+08:00"
        ) from error
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def _number(time: Any) -> float | None:
    if isinstance(time, bool):
        return None
    try:
        number = float(time)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if np.isfinite(number) else None
