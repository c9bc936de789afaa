"""Where a corpus's labels come from, when not from people: labels.json in its folder."""

from pathlib import Path
from typing import Final

import msgspec

from schemas.manifest import LabelsFrom
from schemas.progress import Progress
from train.errors import CorpusError
from train.rows import Half

ORIGIN_FILE: Final = "labels.json"


def write_origin(corpus: Path, origin: LabelsFrom) -> None:
    """Into the corpus's folder."""
    content = msgspec.json.format(msgspec.json.encode(origin)) + b"\n"
    (corpus / ORIGIN_FILE).write_bytes(content)


def read_origin(corpus: Path) -> LabelsFrom | None:
    """None where people gave the labels. Raises CorpusError for a file that cannot be read."""
    file = corpus / ORIGIN_FILE
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=LabelsFrom)
    except (OSError, msgspec.DecodeError) as error:
        raise CorpusError(f"{file} cannot be read: {error}: label the corpus anew") from error


def figure_name(origin: LabelsFrom | None, half: Half) -> str:
    """What the share of a half's rows is called that a model labels as the half does."""
    return "agreement" if origin is not None and half in origin.halves else "accuracy"


def origin_line(origin: LabelsFrom) -> str:
    """Where labels come from, in one line."""
    halves = " and the ".join({"train": "training", "test": "test"}[half] for half in origin.halves)
    names = ", ".join(f"{each.name} ({each.words:,} words)" for each in origin.lexicons)
    return f"labels of the {halves} half come from lexicons, not from people: {names}"


def in_words_of(origin: LabelsFrom | None, progress: Progress) -> Progress:
    """The same progress, which calls agreement with lexicons by its name."""
    if origin is None:
        return progress

    def told(step: str, done: int, total: int, note: str = "") -> None:
        progress(step, done, total, note.replace("accuracy", "agreement"))

    return told
