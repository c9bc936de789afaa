"""Write the report of a models folder: a page for people, and the same figures for a program."""

import time
from collections.abc import Sequence
from os import getpid
from pathlib import Path

import msgspec

from schemas.progress import Progress
from train.corpus import Corpus
from train.errors import SettingError
from train.report.contents import Report
from train.report.figures import report_on
from train.report.page import Language, page
from train.report.reading import read
from train.report.thumbnails import thumbnail

REPORT_FILE = "report.html"
"""Of a models folder."""


def write_report(
    models: Path,
    out: Path,
    progress: Progress,
    corpus: Path | None = None,
    bundles: Sequence[Path] = (),
    language: Language = "en",
) -> Report:
    """Write the page `out`, and `report.json` of the same name beside it; each whole or not at all.

    `corpus` is where it lies now, by default where training found it; `bundles` are those whose
    parity, size and speed the report shows.

    Raises:
        ReportError: something does not belong together, or cannot be read.
        SettingError: `out` is not named as a page.
    """
    if out.suffix != ".html":
        raise SettingError(f"{out} is no name of a page: let it end in .html")
    progress("writing the report", 0, 3)
    material = read(models, corpus, bundles)
    progress("writing the report", 1, 3)
    report = report_on(material, time.process_time)
    progress("writing the report", 2, 3)
    as_json = out.with_suffix(".json")
    shown = page(report, language, _pictures(report, material.corpus), as_json.name)
    _write(as_json, msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    _write(out, shown.encode())
    progress("writing the report", 3, 3)
    return report


def _pictures(report: Report, corpus: Corpus) -> dict[str, str]:
    """Thumbnails of the posts that are shown, by path."""
    wanted = {post.image for post in report.wrong} | {post.image for post in report.suspects.shown}
    found = {image: thumbnail(corpus.folder / image) for image in wanted if image}
    return {image: picture for image, picture in found.items() if picture is not None}


def _write(file: Path, content: bytes) -> None:
    """Beside it, then into its place."""
    beside = file.with_name(f".{file.name}.{getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
