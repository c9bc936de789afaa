"""Where a corpus's labels come from, when not from people: labels.json in its folder."""

from pathlib import Path
from typing import Final

import msgspec

from schemas.manifest import LabelsFrom
from schemas.progress import Progress
from train.errors import CorpusError

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


def told_as_agreement(progress: Progress) -> Progress:
    """The same progress, which calls agreement with lexicons by its name."""

    def told(step: str, done: int, total: int, note: str = "") -> None:
        progress(step, done, total, note.replace("accuracy", "agreement"))

    return told
