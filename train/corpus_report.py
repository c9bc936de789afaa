"""Examine a corpus and report all that is wrong with it or worth knowing, without stopping."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from features.images import ImageLimits, ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.progress import Progress, silent
from train.errors import CorpusError
from train.rows import HALVES, ROW_FIELDS, Half, Row, RowFields, decoded, place, raw_rows, row_of
from train.settings import HELD_OUT_FOLDS

EXAMPLES_MAX = 5
ROWS_OF_A_FOLD_MIN: Final = 2
"""Of each label, with text and image."""
_LABEL_ROWS_MIN: Final = ROWS_OF_A_FOLD_MIN * HELD_OUT_FOLDS
_LIMITS = ImageLimits(bytes_max=64 * 1024 * 1024, pixels_max=80_000_000)
_SIZE = ImageInput(height=64, width=64)
_CHUNK = 100


class Finding(StrEnum):
    """What a corpus can have; see `FATAL` for those that training refuses."""

    BROKEN_ROW = "rows that cannot be read"
    EMPTY_HALF = "halves without a row"
    DUPLICATE_ID = "ids that stand more than once"
    MISSING_IMAGE = "images that are missing or cannot be opened"
    OUTSIDE_IMAGE = "images that lie outside the corpus"
    LABEL_NAMES = "labels with two names, or names with two labels"
    LABELS = "labels that are missing from train.jsonl, or one label only"
    SHARED_POST = "posts that stand in both halves, text and image alike"
    NO_MODALITY = "halves without a text, or without an image that can be decoded"
    UNREADABLE_IMAGE = "images that cannot be decoded"
    SHARED_TEXT = "texts that stand in both halves"
    SHARED_IMAGE = "images that stand in both halves"
    FEW_ROWS = "labels with fewer training rows of text and image than training takes by default"
    DUPLICATE_TEXT = "texts that stand more than once in a half"
    DUPLICATE_IMAGE = "images that stand more than once in a half"
    UNKNOWN_FIELD = "fields that are ignored"


FATAL = frozenset(
    {
        Finding.BROKEN_ROW,
        Finding.EMPTY_HALF,
        Finding.DUPLICATE_ID,
        Finding.MISSING_IMAGE,
        Finding.OUTSIDE_IMAGE,
        Finding.LABEL_NAMES,
        Finding.LABELS,
        Finding.SHARED_POST,
        Finding.NO_MODALITY,
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """How often something was found, and a few examples."""

    finding: Finding
    count: int
    examples: tuple[str, ...]

    @property
    def fatal(self) -> bool:
        """Whether training refuses a corpus with this."""
        return self.finding in FATAL


@dataclass(frozen=True, slots=True)
class HalfReport:
    """The rows of a half by what they have, and by the name of their label."""

    rows: int
    complete: int
    text_only: int
    image_only: int
    labels: dict[str, int]


@dataclass(frozen=True, slots=True)
class CorpusReport:
    """All of it. `usable` says whether `train` takes this corpus."""

    path: Path
    halves: dict[Half, HalfReport]
    found: tuple[Found, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing fatal was found."""
        return not any(found.fatal for found in self.found)

    def count(self, finding: Finding) -> int:
        """How often this was found."""
        return sum(found.count for found in self.found if found.finding is finding)


@dataclass(slots=True)
class _Notes:
    """Findings as they come in."""

    by_finding: dict[Finding, list[str]] = field(default_factory=dict)

    def note(self, finding: Finding, examples: Iterable[str]) -> None:
        self.by_finding.setdefault(finding, []).extend(examples)

    def found(self) -> tuple[Found, ...]:
        return tuple(
            Found(finding, len(examples), tuple(examples[:EXAMPLES_MAX]))
            for finding in Finding
            if (examples := list(dict.fromkeys(self.by_finding.get(finding, []))))
        )


def examine(path: Path, progress: Progress = silent) -> CorpusReport:
    """Read everything once. Raises CorpusError when the folder or one of its files is missing."""
    notes = _Notes()
    fields = {half: list(_readable(path, half, notes)) for half in HALVES}
    rows = {half: [row for row, _ in fields[half]] for half in HALVES}
    notes.note(Finding.EMPTY_HALF, [half for half in HALVES if not rows[half]])
    ids = Counter(row.id for half in HALVES for row in rows[half])
    notes.note(Finding.DUPLICATE_ID, [name for name, count in ids.items() if count > 1])
    _note_labels(fields, notes)
    every = [row for half in HALVES for row in rows[half]]
    hashes, broken = _note_images(path, every, notes, progress)
    _note_absent(rows, hashes.keys() - broken, notes)
    _note_few(fields["train"], hashes.keys() - broken, notes)
    texts = {half: Counter(row.text for row in rows[half] if row.text) for half in HALVES}
    images = {
        half: Counter(hashes[row.image] for row in rows[half] if row.image in hashes)
        for half in HALVES
    }
    _note_shared_posts(rows, hashes, notes)
    _note_duplicates(texts, Finding.DUPLICATE_TEXT, Finding.SHARED_TEXT, notes)
    _note_duplicates(images, Finding.DUPLICATE_IMAGE, Finding.SHARED_IMAGE, notes)
    reports = {half: half_report(fields[half]) for half in HALVES}
    return CorpusReport(path, reports, notes.found())


def _readable(path: Path, half: Half, notes: _Notes) -> Iterator[tuple[Row, RowFields]]:
    decoder = msgspec.json.Decoder(RowFields)
    unknown: Counter[str] = Counter()
    for number, line in raw_rows(path, half):
        unknown.update((decoded(line) or {}).keys() - ROW_FIELDS)
        try:
            fields = decoder.decode(line)
            yield row_of(fields, place(path, half, number)), fields
        except (msgspec.DecodeError, UnicodeDecodeError, CorpusError) as error:
            notes.note(Finding.BROKEN_ROW, [f"{half}.jsonl line {number}: {error}"])
    notes.note(Finding.UNKNOWN_FIELD, sorted(unknown))


def _note_labels(fields: dict[Half, list[tuple[Row, RowFields]]], notes: _Notes) -> None:
    names: dict[int, set[str]] = {}
    for row, raw in (pair for half in HALVES for pair in fields[half]):
        names.setdefault(row.label, set()).add(raw.label_name or str(row.label))
    many = {label: sorted(called) for label, called in names.items() if len(called) > 1}
    notes.note(Finding.LABEL_NAMES, [f"{label}: {called}" for label, called in many.items()])
    meant = Counter(name for called in names.values() for name in called)
    notes.note(Finding.LABEL_NAMES, [name for name, count in meant.items() if count > 1])
    learned = {row.label for row, _ in fields["train"]}
    wanted = set(range(max(names, default=0) + 1)) | {0, 1}
    notes.note(Finding.LABELS, [str(label) for label in sorted(wanted - learned)])


def _note_images(
    path: Path, rows: list[Row], notes: _Notes, progress: Progress
) -> tuple[dict[str, str], set[str]]:
    """Note what cannot be used; the hashes of what can be opened, by relative path, and those of
    them that cannot be decoded.
    """
    root, hashes, broken = path.resolve(), dict[str, str](), set[str]()
    images = list(dict.fromkeys(row.image for row in rows if row.image))
    for number, image in enumerate(images, start=1):
        if number % _CHUNK == 0 or number == len(images):
            progress("looking at the images", number, len(images))
        file = (path / image).resolve()
        if not file.is_relative_to(root):
            notes.note(Finding.OUTSIDE_IMAGE, [image])
            continue
        try:
            content = file.read_bytes()
        except OSError as error:
            notes.note(Finding.MISSING_IMAGE, [f"{image}: {error.strerror}"])
            continue
        hashes[image] = sha256(content).hexdigest()
        if isinstance(problem := decode(content, _SIZE, _LIMITS), ImageProblem):
            notes.note(Finding.UNREADABLE_IMAGE, [f"{image}: {problem.detail}"])
            broken.add(image)
    return hashes, broken


def _note_absent(rows: dict[Half, list[Row]], readable: Set[str], notes: _Notes) -> None:
    for half in HALVES:
        if not any(row.text for row in rows[half]):
            notes.note(Finding.NO_MODALITY, [f"{half}.jsonl: text"])
        if not any(row.image in readable for row in rows[half]):
            notes.note(Finding.NO_MODALITY, [f"{half}.jsonl: image"])


def _note_few(fields: list[tuple[Row, RowFields]], readable: Set[str], notes: _Notes) -> None:
    counts = {raw.label_name or str(row.label): 0 for row, raw in fields}
    for row, raw in fields:
        counts[raw.label_name or str(row.label)] += bool(row.text and row.image in readable)
    few = [f"{name} {count}" for name, count in counts.items() if count < _LABEL_ROWS_MIN]
    notes.note(Finding.FEW_ROWS, few)


def _note_shared_posts(rows: dict[Half, list[Row]], hashes: dict[str, str], notes: _Notes) -> None:
    """Rows of the training half whose text and image stand together in the test half."""
    train, test = (
        {
            row.id: (row.text, hashes[row.image])
            for row in rows[half]
            if row.text and row.image in hashes
        }
        for half in HALVES
    )
    there = set(test.values())
    notes.note(Finding.SHARED_POST, [name for name, post in train.items() if post in there])


def _note_duplicates(
    counts: dict[Half, Counter[str]], within: Finding, across: Finding, notes: _Notes
) -> None:
    for half in HALVES:
        notes.note(within, [content for content, count in counts[half].items() if count > 1])
    notes.note(across, sorted(counts["train"].keys() & counts["test"].keys()))


def half_report(fields: Sequence[tuple[Row, RowFields]]) -> HalfReport:
    """Its rows counted."""
    rows = [row for row, _ in fields]
    labels = Counter((row.label, raw.label_name or str(row.label)) for row, raw in fields)
    return HalfReport(
        rows=len(rows),
        complete=sum(row.complete for row in rows),
        text_only=sum(row.image is None for row in rows),
        image_only=sum(row.text is None for row in rows),
        labels={name: count for (_, name), count in sorted(labels.items())},
    )
