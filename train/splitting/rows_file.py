"""One file of rows, JSON Lines or CSV, to the fields of each row as they stand there."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from train.errors import CorpusError
from train.rows import decoded

NEEDED: Final = ("id", "label")
_WHOLE_NUMBERS: Final = ("text_label", "image_label")


@dataclass(frozen=True, slots=True)
class Given:
    """A row as it was given: where it stands, for people, and its fields."""

    where: str
    fields: dict[str, Any]


def read(file: Path) -> tuple[Given, ...]:
    """All rows, in the order of the file; at least one.

    Raises CorpusError for a file of another kind, a row that is none, and for no row.
    """
    kinds = {".jsonl": _of_json_lines, ".csv": _of_csv}
    if file.suffix.lower() not in kinds:
        raise CorpusError(f"{file}: the name must end in .jsonl or .csv, for that tells the form")
    rows = tuple(kinds[file.suffix.lower()](file))
    if not rows:
        raise CorpusError(f"{file} holds no row")
    for row in rows:
        missing = [name for name in NEEDED if row.fields.get(name) in (None, "")]
        if missing:
            raise CorpusError(f"{row.where}: the row has no {missing[0]}")
    return rows


def _of_json_lines(file: Path) -> Iterator[Given]:
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        where = f"{file} line {number}"
        if not line.strip():
            continue
        fields = decoded(line)
        if fields is None:
            raise CorpusError(f"{where}: this is no JSON object in UTF-8")
        yield Given(where, fields)


def _of_csv(file: Path) -> Iterator[Given]:
    """Rows of a table with a line of headers; what is empty is absent."""
    try:
        content = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{file} is not UTF-8 (byte {error.start}): save it as CSV in UTF-8; spreadsheets "
            "often write GBK unless told otherwise"
        ) from error
    table = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    try:
        headers = [name.strip() for name in table.fieldnames or ()]
        _check_headers(file, headers)
        table.fieldnames = headers
        for cells in table:
            yield Given(where := f"{file} line {table.line_num}", _fields(cells, where))
    except csv.Error as error:
        raise CorpusError(f"{file} line {table.reader.line_num}: {error}") from error


def _check_headers(file: Path, headers: list[str]) -> None:
    missing = [name for name in NEEDED if name not in headers]
    if missing:
        raise CorpusError(
            f"{file} has no column {missing[0]!r}: its first line must name the columns, "
            "id,text,image,label and, if you like, label_name,time"
        )
    if len(set(headers)) < len(headers):
        raise CorpusError(f"{file}: two columns have one name: {', '.join(headers)}")


def _fields(cells: dict[str | Any, str | Any], where: str) -> dict[str, Any]:
    if None in cells or None in cells.values():
        raise CorpusError(f"{where}: the row has more or fewer cells than there are columns")
    held = {name: cell for name, cell in cells.items() if cell != ""}
    for name in _WHOLE_NUMBERS:
        if held.get(name, "").strip().isdecimal():
            held[name] = int(held[name])
    return held
