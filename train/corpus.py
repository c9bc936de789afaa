"""Read a corpus: a folder with train.jsonl, test.jsonl and the images that their rows name.

A row is `{"id", "text", "image", "label"}`, optionally `label_name`, `text_label` and
`image_label` (what that modality itself shows; training targets only, never inputs). `text` or
`image` may be null, not both. Labels are 0 … K-1. Other fields are ignored, and reported.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from schemas.manifest import LabelsFrom
from schemas.progress import Progress, silent
from train.corpus_report import CorpusReport, examine
from train.errors import CorpusError
from train.label_origin import ORIGIN_FILE, read_origin
from train.rows import HALVES, Half, Row, RowFields, place, read_fields, row_of

_KEEP_APART = "keep each post in one half, or divide all rows anew with `tuwen corpus split`"


@dataclass(frozen=True, slots=True)
class Corpus:
    """All rows in the order of the files. `labels[i]` is the name of label i.

    `labels_from` are the lexicons that gave the labels, None where people did.
    """

    folder: Path
    labels: tuple[str, ...]
    train: tuple[Row, ...]
    test: tuple[Row, ...]
    image_sha256: dict[str, str]
    sha256: str
    labels_from: LabelsFrom | None = None

    def half(self, half: Half) -> tuple[Row, ...]:
        """The rows of a half."""
        return self.train if half == "train" else self.test

    def image_path(self, row: Row) -> Path:
        """Where the image of a row that has one lies."""
        assert row.image is not None, f"row {row.id} has no image"
        return self.folder / row.image

    def content_keys(self, row: Row) -> tuple[str, ...]:
        """What makes another row a duplicate of this one: its text, its image's bytes."""
        keys = [] if row.text is None else [f"text {row.text}"]
        if row.image is not None:
            keys.append(f"image {self.image_sha256[row.image]}")
        return tuple(keys)


def load(path: Path) -> Corpus:
    """The corpus, checked as far as training relies on it.

    Raises:
        CorpusError: a file or image is missing, a row cannot be read, an id stands twice, a
            half is empty, there are fewer than two labels, names and labels do not fit, or a post
            stands in both halves.
    """
    rows, names = {}, {}
    for half in HALVES:
        lines = list(read_fields(path, half))
        rows[half] = tuple(row_of(fields, place(path, half, n)) for n, fields in lines)
        names.update({(half, number): fields for number, fields in lines})
    _check_ids(rows)
    labels = _labels(names)
    images = _image_hashes(path, rows)
    sha256 = _corpus_hash(path, images)
    origin = read_origin(path)
    corpus = Corpus(path, labels, rows["train"], rows["test"], images, sha256, origin)
    _check_apart(corpus)
    return corpus


def check(path: Path, progress: Progress = silent) -> CorpusReport:
    """All that is wrong or worth knowing, found in one go. Raises CorpusError for no corpus."""
    return examine(path, progress)


def _check_ids(rows: dict[Half, tuple[Row, ...]]) -> None:
    train, test = (Counter(row.id for row in rows[half]) for half in HALVES)
    both = [identity for identity in train if identity in test]
    if both:
        raise CorpusError(
            f"{len(both)} ids stand in train.jsonl and in test.jsonl, {both[0]!r} among them: "
            f"{_KEEP_APART}"
        )
    twice = [identity for identity, count in (train + test).items() if count > 1]
    if twice:
        raise CorpusError(
            f"{len(twice)} ids stand more than once, {twice[0]!r} among them: "
            "give each post an id of its own"
        )


def _check_apart(corpus: Corpus) -> None:
    """Refuse a whole post, text and image, that stands in both halves.

    Where only one of the two is shared, two people may have said or shown the same: such rows are
    left out of training (`train.prepared`).
    """
    test = {corpus.content_keys(row): row.id for row in corpus.test if row.complete}
    shared = [
        (row.id, test[keys])
        for row in corpus.train
        if row.complete and (keys := corpus.content_keys(row)) in test
    ]
    if shared:
        one, other = shared[0]
        raise CorpusError(
            f"{len(shared)} posts stand in both halves, text and image alike: {one!r} of "
            f"train.jsonl is {other!r} of test.jsonl: {_KEEP_APART}"
        )


def _labels(fields: dict[tuple[Half, int], RowFields]) -> tuple[str, ...]:
    """The names in the order of the labels; a label without a name is its number."""
    names: dict[int, str] = {}
    for (half, number), row in fields.items():
        name = row.label_name or str(row.label)
        if names.setdefault(row.label, name) != name:
            raise CorpusError(
                f"{half}.jsonl line {number}: label {row.label} is named {name!r} here and "
                f"{names[row.label]!r} before"
            )
    _check_numbers(fields, names)
    if len(set(names.values())) < len(names):
        raise CorpusError(f"two labels have one name: {[names[i] for i in sorted(names)]}")
    return tuple(names[label] for label in sorted(names))


def _check_numbers(fields: dict[tuple[Half, int], RowFields], names: dict[int, str]) -> None:
    """Refuse labels that cannot be learned, and gaps between their numbers."""
    learned = {row.label for (half, _), row in fields.items() if half == "train"}
    if len(learned) < 2:
        raise CorpusError(
            f"train.jsonl has one label only, {names[min(learned)]!r}: there is nothing to tell "
            "apart; add rows of another"
        )
    for (half, number), row in fields.items():
        if row.label not in learned:
            raise CorpusError(
                f"{half}.jsonl line {number}: label {row.label} ({names[row.label]!r}) of "
                f"{row.id!r} is in no row of train.jsonl and cannot be learned: leave such rows "
                "out, or divide all rows anew with `tuwen corpus split`"
            )
    if learned != set(range(len(learned))):
        raise CorpusError(
            f"labels are {sorted(learned)} and must be 0 to {len(learned) - 1}: number them anew"
        )


def _image_hashes(path: Path, rows: dict[Half, tuple[Row, ...]]) -> dict[str, str]:
    """sha256 by relative path. Raises CorpusError for one that is missing or leads outside."""
    root = path.resolve()
    hashes: dict[str, str] = {}
    for row in (row for half in HALVES for row in rows[half]):
        if row.image is None or row.image in hashes:
            continue
        file = (path / row.image).resolve()
        if not file.is_relative_to(root):
            raise CorpusError(f"{row.id!r}: image {row.image!r} leads out of the corpus")
        try:
            hashes[row.image] = hashlib.sha256(file.read_bytes()).hexdigest()
        except OSError as error:
            raise CorpusError(
                f"{row.id!r}: image {row.image!r} cannot be read ({error.strerror}): "
                f"run `tuwen corpus check {path}` to see all"
            ) from error
    return hashes


def _corpus_hash(path: Path, images: dict[str, str]) -> str:
    """One hash over both files, all images that they name, and where labels come from."""
    whole = hashlib.sha256()
    for half in HALVES:
        whole.update((path / f"{half}.jsonl").read_bytes() + b"\0")
    for image in sorted(images):
        whole.update(f"{image} {images[image]}\n".encode())
    if (path / ORIGIN_FILE).exists():
        whole.update((path / ORIGIN_FILE).read_bytes())
    return whole.hexdigest()
