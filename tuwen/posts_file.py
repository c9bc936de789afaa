"""A file of posts, or stdin, to files of verdicts and of rejects, or stdout and stderr."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Final, cast

import msgspec
import typer

from schemas.progress import Progress
from tuwen.classification import Stages
from tuwen.classifying import Counts, Rejected, classify_all, line_bytes_max
from tuwen.failures import Refused
from tuwen.post_lines import CHUNK_BYTES, batches
from worker.settings import WorkerSettings

STDIN: Final = "-"
KIB: Final = 1024
STEP: Final = "classifying, KiB"


@dataclass(frozen=True, slots=True)
class Places:
    """Where posts come from, and where verdicts and rejects go: None is stdout, and who tells."""

    posts: str
    verdicts: Path | None
    rejects: Path | None


def check_places(places: Places) -> None:
    """Raises Refused where a file would be written over that is read, or written twice."""
    named = [place for place in (places.verdicts, places.rejects) if place is not None]
    if places.posts != STDIN:
        named.append(Path(places.posts))
    if len({place.resolve() for place in named}) < len(named):
        raise Refused("FILE, --out and --rejects must be different files")


def classify_file(
    stages: Stages,
    places: Places,
    settings: WorkerSettings,
    tell: Callable[[Rejected], None],
    progress: Progress,
) -> Counts:
    """Read, classify and write batch by batch; `tell` gets the rejects that have no file."""
    with ExitStack() as closing:
        posts = _opened(places.posts, closing)
        verdicts = _verdicts(places.verdicts, closing)
        rejects = tell if places.rejects is None else _rejects(places.rejects, closing)
        read = batches(
            lambda: posts.read1(CHUNK_BYTES),
            places.posts,
            settings.batch_records_max,
            line_bytes_max(settings),
        )
        size_kib = _size_kib(places.posts)
        counts = classify_all(stages, read, verdicts, rejects, _counted(progress, posts, size_kib))
        if size_kib:
            progress(STEP, size_kib, size_kib, f"{counts.posts:,} posts")
    return counts


def _opened(posts: str, closing: ExitStack) -> BufferedReader:
    if posts == STDIN:
        return cast("BufferedReader", typer.get_binary_stream("stdin"))
    return closing.enter_context(Path(posts).open("rb"))


def _verdicts(place: Path | None, closing: ExitStack) -> Callable[[bytes], object]:
    """Whole batches at once, so that whoever reads along finds whole lines."""
    if place is None:
        return lambda lines: typer.echo(lines, nl=False)
    written = closing.enter_context(place.open("wb"))

    def write(lines: bytes) -> None:
        written.write(lines)
        written.flush()

    return write


def _rejects(place: Path, closing: ExitStack) -> Callable[[Rejected], None]:
    written = closing.enter_context(place.open("wb"))

    def write(one: Rejected) -> None:
        written.write(msgspec.json.encode(one) + b"\n")

    return write


def _size_kib(posts: str) -> int:
    """At least 1 for a file; 0 for what has no end that is known, as a pipe."""
    place = Path(posts)
    return max(1, place.stat().st_size // KIB) if posts != STDIN and place.is_file() else 0


def _counted(progress: Progress, posts: BufferedReader, size_kib: int) -> Callable[[Counts], None]:
    """Tell how much of a file is read: how many posts it holds is not known before its end."""
    if not size_kib:
        return lambda _counts: None

    def told(counts: Counts) -> None:
        # What is read is not classified yet: the end is told when it is reached.
        done = min(size_kib - 1, posts.tell() // KIB)
        progress(STEP, done, size_kib, f"{counts.posts:,} posts")

    return told
