"""A corpus, whose rows may lack a label, to its posts and what people said of each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from schemas.post import PostId, PostText
from train.errors import CorpusError
from train.label_origin import read_origin
from train.rows import HALVES, Half, raw_rows

PEOPLES_FIELDS = ("label", "label_name", "text_label", "image_label")
"""What people said of a row; a row that is labelled anew loses them."""


class PostFields(msgspec.Struct, frozen=True):
    """A row as it stands in a file; the label may be missing."""

    id: PostId
    text: PostText | None = None
    image: str | None = None
    label: int | None = None
    label_name: str | None = None
    text_label: int | None = None


@dataclass(frozen=True, slots=True)
class SourcePost:
    """A row with the names that people gave it and its text; None where they gave none.

    `text` is None where there is nothing but white space; `fields` are all that the row holds.
    """

    half: Half
    id: str
    text: str | None
    image: str | None
    label: str | None
    text_label: str | None
    fields: dict[str, Any]


def read_posts(corpus: Path) -> tuple[SourcePost, ...]:
    """Both halves in the order of their files. What lexicons said before is not of people.

    Raises:
        CorpusError: a file is missing or holds no row, a row cannot be read, an id stands twice,
            a label has two names, or labels.json cannot be read.
    """
    rows = [
        (half, *_fields(corpus, half, number, line))
        for half in HALVES
        for number, line in raw_rows(corpus, half)
    ]
    for half in HALVES:
        if not any(each == half for each, _, _ in rows):
            raise CorpusError(f"{corpus / half}.jsonl holds no row: each half needs some")
    twice = [name for name, count in Counter(row.id for _, row, _ in rows).items() if count > 1]
    if twice:
        raise CorpusError(f"{len(twice)} ids stand more than once, {twice[0]!r} among them")
    origin = read_origin(corpus)
    if origin is not None:
        rows = [
            (half, _unsaid(row) if half in origin.halves else row, raw) for half, row, raw in rows
        ]
    names = _names([row for _, row, _ in rows])
    return tuple(_post(half, row, names, raw) for half, row, raw in rows)


def people_names(posts: Sequence[SourcePost]) -> tuple[str, ...]:
    """The labels that people gave, in a fixed order."""
    return tuple(sorted({post.label for post in posts if post.label is not None}))


def _fields(
    corpus: Path, half: Half, number: int, line: bytes
) -> tuple[PostFields, dict[str, Any]]:
    where = f"{corpus / half}.jsonl line {number}"
    try:
        row, raw = msgspec.json.decode(line, type=PostFields), msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorpusError(f"{where}: {error}") from error
    if not (row.text and not row.text.isspace()) and not row.image:
        raise CorpusError(f"{where}: {row.id!r} has neither text nor image")
    return row, raw


def _unsaid(row: PostFields) -> PostFields:
    return msgspec.structs.replace(row, label=None, label_name=None, text_label=None)


def _names(rows: Sequence[PostFields]) -> dict[int, str]:
    """The names of people's labels; a label without a name is its number."""
    names: dict[int, str] = {}
    for row in rows:
        if row.label is None:
            continue
        name = row.label_name or str(row.label)
        if names.setdefault(row.label, name) != name:
            raise CorpusError(
                f"{row.id!r}: label {row.label} is named {name!r} here and {names[row.label]!r} "
                "before: name it alike everywhere"
            )
    return names


def _post(half: Half, row: PostFields, names: dict[int, str], raw: dict[str, Any]) -> SourcePost:
    text = row.text if row.text and not row.text.isspace() else None
    told = None if row.text_label is None else names.get(row.text_label, str(row.text_label))
    label = None if row.label is None else names[row.label]
    return SourcePost(half, row.id, text, row.image or None, label, told, raw)
