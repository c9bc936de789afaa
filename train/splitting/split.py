"""A file of rows, with images beside it, to a corpus of two halves that appears whole or not at
all: read, number the labels, group what is alike, divide, place.
"""

import os
import posixpath
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.manifest import LabelsFrom
from schemas.progress import Progress
from train.corpus_report import HalfReport, half_report
from train.errors import CorpusError, SettingError
from train.groups import group_numbers
from train.label_origin import read_origin, write_origin
from train.rows import HALVES, Half, Row, RowFields, row_of
from train.splitting.division import Test, by_group, by_time
from train.splitting.moments import TIME, moments
from train.splitting.numbering import Numbered, numbered
from train.splitting.rows_file import Given, read

By = Literal["group", "time"]


@dataclass(frozen=True, slots=True)
class SplitSettings:
    """How to divide; what has one text, image or value of the field `group_by` stays together.

    Raises SettingError for an impossible share.
    """

    by: By = "group"
    """`group`: by chance, each label by the same share; `time`: the latest rows are the test half,
    as when tomorrow's posts are to be labelled by a model of today."""
    group_by: str | None = None
    """A field, such as the author, whose rows are alike in ways that a model could learn."""
    test_share: float = 0.2
    """Of the rows. A test half of fewer than some hundred tells little."""
    seed: int = 7
    """Of the chance in `group`."""

    def __post_init__(self) -> None:
        """Refuse what leaves a half empty."""
        if not 0 < self.test_share < 1:
            raise SettingError(f"test share {self.test_share:g}: more than 0 and less than 1")


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What went where. `rows_together` share a text, an image or a group with another row;
    `test_from` is the earliest time in the test half, older duplicates apart.
    """

    path: Path
    labels: tuple[str, ...]
    halves: dict[Half, HalfReport]
    groups: int
    rows_together: int
    images: int
    test_from: str | None
    labels_from: LabelsFrom | None


@dataclass(frozen=True, slots=True)
class _Post:
    """A row on its way: where it stood, what will be written, and where its image lies."""

    where: str
    content: Mapping[str, Any]
    fields: RowFields
    row: Row
    file: Path | None


def split(file: Path, out: Path, settings: SplitSettings, progress: Progress) -> SplitReport:
    """Write the corpus `out`; images are hard links to those beside `file`, or copies.

    Raises:
        CorpusError: the rows cannot be read, an image is missing, or there is no way to divide.
        FileExistsError: `out` is there already.
    """
    if out.exists():
        raise FileExistsError(f"{out} is there already: remove it, or name another folder")
    given = read(file)
    posts = [_post(*each, file.parent) for each in zip(given, numbered(given), strict=True)]
    names = _label_names(posts)
    groups = group_numbers(_keys(posts, given, settings.group_by, progress))
    labels = np.asarray([post.row.label for post in posts], np.int64)
    times = moments(given) if settings.by == "time" else None
    if times is None:
        test = by_group(groups, labels, settings.test_share, settings.seed)
    else:
        test = by_time(groups, times, settings.test_share)
    _check_divided(test, labels, names)
    halves: dict[Half, list[_Post]] = {
        half: [post for post, own in zip(posts, test, strict=True) if own == (half == "test")]
        for half in HALVES
    }
    origin = _origin(file)
    images = _write(out, halves, origin, progress)
    sizes = np.bincount(groups)
    return SplitReport(
        out,
        names,
        {half: half_report([(p.row, p.fields) for p in own]) for half, own in halves.items()},
        len(sizes),
        int(sizes[sizes > 1].sum()),
        images,
        None if times is None else _test_from(given, groups, times, test),
        origin,
    )


def _post(given: Given, label: Numbered, root: Path) -> _Post:
    """Raises CorpusError when the row is none, or its image is missing or elsewhere."""
    fields = given.fields
    image = fields.get("image") or None
    if isinstance(image, str):
        image = posixpath.normpath(image)
    first = {
        "id": fields["id"],
        "text": fields.get("text"),
        "image": image,
        "label": label.label,
        "label_name": fields.get("label_name") or label.name,
    }
    content = first | {name: value for name, value in fields.items() if name not in first}
    try:
        own = msgspec.convert(content, RowFields)
    except msgspec.ValidationError as error:
        raise CorpusError(f"{given.where}: {error}") from error
    row = row_of(own, given.where)
    return _Post(given.where, content, own, row, _image_file(row, given.where, root))


def _image_file(row: Row, where: str, root: Path) -> Path | None:
    if row.image is None:
        return None
    file = (root / row.image).resolve()
    if not file.is_relative_to(root.resolve()):
        raise CorpusError(f"{where}: image {row.image!r} of {row.id!r} leads out of {root}")
    if not file.is_file():
        raise CorpusError(
            f"{where}: image {row.image!r} of {row.id!r} is missing: paths count from {root}"
        )
    return file


def _label_names(posts: Sequence[_Post]) -> tuple[str, ...]:
    """The names by label. Raises CorpusError when they do not fit, for one label, one id twice."""
    ids = Counter(post.row.id for post in posts)
    names: dict[int, str] = {}
    for post in posts:
        label, name = post.row.label, post.fields.label_name or str(post.row.label)
        if names.setdefault(label, name) != name:
            raise CorpusError(
                f"{post.where}: label {label} is named {name!r} here and {names[label]!r} before"
            )
        if ids[post.row.id] > 1:
            raise CorpusError(
                f"{post.where}: id {post.row.id!r} stands {ids[post.row.id]} times: give each post "
                "an id of its own"
            )
    if len(names) < 2:
        raise CorpusError(f"all rows have the label {names[0]!r}: there is nothing to tell apart")
    if len(set(names.values())) < len(names):
        raise CorpusError(f"two labels have one name: {[names[label] for label in sorted(names)]}")
    return tuple(names[label] for label in sorted(names))


def _keys(
    posts: Sequence[_Post], given: Sequence[Given], group_by: str | None, progress: Progress
) -> list[list[str]]:
    """What makes a row alike to another: its text, its image's bytes, its value of the field."""
    if group_by is not None and not any(row.fields.get(group_by) for row in given):
        known = sorted({name for row in given for name in row.fields})
        raise CorpusError(f"no row has the field {group_by!r}: there are {', '.join(known)}")
    hashes: dict[Path, str] = {}
    keys = []
    for number, (post, row) in enumerate(zip(posts, given, strict=True), start=1):
        own = [] if post.row.text is None else [f"text {post.row.text}"]
        if post.file is not None:
            if post.file not in hashes:
                hashes[post.file] = sha256(post.file.read_bytes()).hexdigest()
            own.append(f"image {hashes[post.file]}")
        if group_by is not None and row.fields.get(group_by) not in (None, ""):
            own.append(f"field {row.fields[group_by]}")
        keys.append(own)
        progress("reading rows and images", number, len(posts))
    return keys


def _check_divided(test: Test, labels: NDArray[np.int64], names: Sequence[str]) -> None:
    if not test.any():
        raise CorpusError(
            "the rows cannot be divided: all hang together by equal texts, images or groups, or "
            "each label has one such group only; add other rows"
        )
    alone = sorted(set(labels[test].tolist()) - set(labels[~test].tolist()))
    if alone:
        raise CorpusError(
            f"all rows with the label {names[alone[0]]!r} are in the test half, and none to learn "
            "from: take a smaller --test-share, or divide by group"
        )


def _test_from(
    given: Sequence[Given], groups: NDArray[np.int64], times: NDArray[np.float64], test: Test
) -> str:
    """The time of the earliest of the latest rows of the groups in the test half."""
    latest = np.full(groups.max() + 1, -np.inf)
    np.maximum.at(latest, groups, times)
    last = np.flatnonzero(test & (times == latest[groups]))
    return str(given[last[times[last].argmin()]].fields[TIME])


def _origin(file: Path) -> LabelsFrom | None:
    """Where the labels come from, when not from people; rows of that file go to both halves."""
    origin = read_origin(file.parent)
    people = origin is None or (file.stem in HALVES and file.stem not in origin.halves)
    return None if origin is None or people else msgspec.structs.replace(origin, halves=HALVES)


def _write(
    out: Path,
    halves: Mapping[Half, Sequence[_Post]],
    origin: LabelsFrom | None,
    progress: Progress,
) -> int:
    """The folder, written beside and then renamed; how many images it has."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    posts = [post for half in HALVES for post in halves[half]]
    files = {post.row.image: post.file for post in posts if post.row.image and post.file}
    try:
        beside.mkdir(parents=True)
        for number, (image, file) in enumerate(files.items(), start=1):
            _place(file, beside / image)
            progress("placing images", number, len(files))
        for half in HALVES:
            lines = b"".join(msgspec.json.encode(post.content) + b"\n" for post in halves[half])
            with (beside / f"{half}.jsonl").open("xb") as rows:
                rows.write(lines)
        if origin is not None:
            write_origin(beside, origin)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return len(files)


def _place(file: Path, place: Path) -> None:
    """A hard link, or a copy where the file system has none."""
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, place)
    except OSError:
        shutil.copyfile(file, place)
