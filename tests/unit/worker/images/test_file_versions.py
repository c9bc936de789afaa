import os
import time
from pathlib import Path

import pytest

from worker.images.file import SETTLED_S, FileSource
from worker.images.sources import Answer, Unchanged, Versioned

REFERENCE = "file:a.jpg"


class Disk:
    """A folder with an image, and a source that looks at it as long after as a test wants."""

    def __init__(self, root: Path) -> None:
        self.image = root / "a.jpg"
        self.image.write_bytes(b"first")
        self.later_s = 60.0
        self.source = FileSource(root, 1000, self._now_ns)

    def _now_ns(self) -> int:
        return time.time_ns() + int(self.later_s * 1e9)

    def ask(self, known: Answer | None = None) -> Answer:
        """Ask for the image, with the version of an answer before."""
        versions = {REFERENCE: known.version} if isinstance(known, Versioned | Unchanged) else {}
        (answer,) = self.source.fetch([REFERENCE], versions)
        return answer


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    """One with an image that was written a minute ago."""
    return Disk(tmp_path)


def test_a_file_that_is_known_is_not_read_again(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at, each time: nobody says of a file for how long it stays as it is."""
    known = disk.ask()
    assert isinstance(known, Versioned)
    assert (known.content, known.fresh_s) == (b"first", 0.0)
    monkeypatch.delattr(os, "read")
    assert disk.ask(known) == Unchanged(known.version)


def test_a_file_of_equal_size_that_was_written_since_is_read(disk: Disk) -> None:
    """Although its writer set the time of the last write back: the time of the change is no one's
    to set.
    """
    known, before = disk.ask(), disk.image.stat()
    # The clock of a file system may stand still for some milliseconds.
    while disk.image.stat().st_ctime_ns == before.st_ctime_ns:
        disk.image.write_bytes(b"other")
        os.utime(disk.image, ns=(before.st_atime_ns, before.st_mtime_ns))
    answer = disk.ask(known)
    assert isinstance(answer, Versioned)
    assert answer.content == b"other"


def test_a_file_that_another_was_renamed_over_is_read(disk: Disk) -> None:
    """By its number, even where all its times are those of the one before."""
    known = disk.ask()
    other = disk.image.with_name("b.jpg")
    other.write_bytes(b"other")
    other.replace(disk.image)
    answer = disk.ask(known)
    assert isinstance(answer, Versioned)
    assert answer.content == b"other"


@pytest.mark.parametrize(("later_s", "settled"), [(0.0, False), (SETTLED_S + 1, True)])
def test_a_file_that_has_just_been_written_has_no_version(
    disk: Disk, later_s: float, settled: bool
) -> None:
    """One more write might leave size and times as they are, by a clock that counts coarsely."""
    disk.later_s = later_s
    assert isinstance(disk.ask(), Versioned if settled else bytes)


def test_a_file_that_is_gone_is_no_unchanged_one(disk: Disk) -> None:
    """Whatever was known of it."""
    known = disk.ask()
    disk.image.unlink()
    assert not isinstance(disk.ask(known), Unchanged | Versioned)
