"""A row of a corpus: one line of train.jsonl or test.jsonl, read and looked at by itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from schemas.post import PostId, PostText
from train.errors import CorpusError

Half = Literal["train", "test"]
HALVES: tuple[Half, ...] = ("train", "test")

_Label = int


class RowFields(msgspec.Struct, frozen=True):
    """A row as it stands in a file; fields that are not named here are ignored."""

    id: PostId
    label: _Label
    text: PostText | None = None
    image: str | None = None
    label_name: str | None = None
    text_label: _Label | None = None
    image_label: _Label | None = None


ROW_FIELDS = frozenset(RowFields.__struct_fields__)


@dataclass(frozen=True, slots=True)
class Row:
    """A post and its truth. `text` is None where there is nothing but white space."""

    id: str
    text: str | None
    image: str | None
    label: int
    text_label: int | None
    image_label: int | None

    @property
    def complete(self) -> bool:
        """Whether it has both modalities."""
        return self.text is not None and self.image is not None


def raw_rows(path: Path, half: Half) -> Iterator[tuple[int, bytes]]:
    """The lines of a half that hold something, with their numbers from 1. Raises CorpusError."""
    file = path / f"{half}.jsonl"
    if not path.is_dir():
        raise CorpusError(f"{path} is no folder: a corpus is a folder with train.jsonl, test.jsonl")
    if not file.is_file():
        raise CorpusError(f"{file} is missing: a corpus needs both train.jsonl and test.jsonl")
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        if line.strip():
            yield number, line


def read_fields(path: Path, half: Half) -> Iterator[tuple[int, RowFields]]:
    """Rows with their line numbers. Raises CorpusError for a row that is none, and for no row."""
    decoder = msgspec.json.Decoder(RowFields)
    empty = True
    for number, line in raw_rows(path, half):
        empty = False
        try:
            yield number, decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            told = f"{place(path, half, number)}: {error}"
            raise CorpusError(f"{told}{_remedy(line)}") from error
    if empty:
        raise CorpusError(f"{path / half}.jsonl holds no row: each half needs some")


def _remedy(line: bytes) -> str:
    """What to do about a row that has no label."""
    row = decoded(line)
    unlabelled = row is not None and row.get("label") is None
    return "; `tuwen label` labels texts without people" if unlabelled else ""


def place(path: Path, half: Half, number: int) -> str:
    """Where a row stands, for people."""
    return f"{path / half}.jsonl line {number}"


def row_of(fields: RowFields, where: str) -> Row:
    """The row that the fields make. Raises CorpusError when they make none."""
    text = fields.text if fields.text and not fields.text.isspace() else None
    image = fields.image or None
    if text is None and image is None:
        raise CorpusError(f"{where}: {fields.id!r} has neither text nor image")
    for name in ("label", "text_label", "image_label"):
        value = getattr(fields, name)
        if value is not None and value < 0:
            raise CorpusError(f"{where}: {name} is {value}; labels are 0 and up")
    return Row(fields.id, text, image, fields.label, fields.text_label, fields.image_label)


def decoded(line: bytes) -> dict[str, Any] | None:
    """A line as an object, or None when it is none."""
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return value if isinstance(value, dict) else None
