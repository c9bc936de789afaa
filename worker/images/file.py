"""Read `file:` references: paths relative to one folder, and nothing outside it.

What follows `file:` is the path; `%XX` is one byte of it, written so or not, and nothing else is
special (no host, no query, no fragment). The path is walked name by name from the root, each
opened relative to the one before and without following a link, so that no race leads outside.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.sources import (
    NOTHING_KNOWN,
    Answer,
    Known,
    Portion,
    Postponed,
    Unchanged,
    Version,
    Versioned,
)

SCHEME: Final = "file"

# A FIFO would wait for its writer, a terminal would become ours.
_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY
_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

# These say something of the machine, not of the reference: no post may suffer from them.
_FAULTS: Final = frozenset({errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE})
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})

_INVALID: Final = Reason.IMAGE_REFERENCE_INVALID

SETTLED_S: Final = 3.0
"""How old a file's times must be to tell it from a later one: file systems count by up to 2 s."""


class ImageRootError(OSError):
    """The folder of the images cannot be used; the text tells the operator what to do."""


class FileSource:
    """Reads regular files beneath `root`, of at most `bytes_max` bytes; None turns it off.

    A file that is known is opened and looked at, and read only where it is another one: by device,
    number, size, and the times of its last write and its last change. `now_ns` is since the epoch.
    `together_bytes_max` is for all that are read at once.
    """

    def __init__(
        self,
        root: Path | None,
        bytes_max: int,
        now_ns: Callable[[], int] = time.time_ns,
        together_bytes_max: int = 64 * 2**20,
    ) -> None:
        self._root = root
        self._bytes_max = bytes_max
        self._now_ns = now_ns
        self._together_bytes_max = together_bytes_max

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Read each file. Raises ImageRootError or OSError when the disk is at fault."""
        if self._root is None:
            off = ImageProblem(
                Reason.IMAGE_SCHEME_OFF, "file: is off: image_root (TUWEN_IMAGE_ROOT) is not set"
            )
            return [off] * len(references)
        portion = Portion(self._together_bytes_max)
        # Opened anew for each batch: a volume may be mounted again under a running worker.
        with _Folders(open_root(self._root)) as folders:
            return [
                self._read(folders, reference, known.get(reference), portion)
                for reference in references
            ]

    def _read(
        self, folders: "_Folders", reference: str, known: Version | None, portion: Portion
    ) -> Answer:
        names = path_names(reference)
        if isinstance(names, ImageProblem):
            return names
        try:
            file = os.open(names[-1], _FLAGS, dir_fd=folders.opened(names[:-1]))
        except OSError as error:
            return _problem(error)
        try:
            return self._answer(file, known, portion)
        except OSError as error:
            return _problem(error)
        finally:
            os.close(file)

    def _answer(self, file: int, known: Version | None, portion: Portion) -> Answer:
        """Look before reading: what is written meanwhile makes a later look see another version."""
        status = os.fstat(file)
        version = _version(status)
        if version == known:
            return Unchanged(version)
        if status.st_size <= self._bytes_max and not portion.takes(status.st_size):
            return Postponed()
        content = _content(file, status, self._bytes_max)
        if isinstance(content, ImageProblem) or not self._settled(status):
            return content
        return Versioned(content, version)

    def _settled(self, status: os.stat_result) -> bool:
        """Whether a write from now on would show: one just before, of equal size, might not."""
        changed_ns = max(status.st_mtime_ns, status.st_ctime_ns)
        return self._now_ns() - changed_ns > SETTLED_S * 1e9


def open_root(root: Path) -> int:
    """Open the folder of the images; the operator may have made it a link."""
    try:
        return os.open(root, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    except OSError as error:
        raise ImageRootError(
            error.errno, f"image_root {root} cannot be opened ({error.strerror}): is it a folder?"
        ) from error


def reference_to(path: str) -> str:
    """Write the reference to `path`, relative to the root and with `/` between names."""
    return f"{SCHEME}:{quote(path, safe='/')}"


def path_names(reference: str) -> list[bytes] | ImageProblem:
    """Split a reference into the names of its path, or say what is wrong with it."""
    path = reference.partition(":")[2]
    if _ESCAPE.search(path):
        return ImageProblem(_INVALID, "a % without two hex digits: write it as %25")
    try:
        decoded = unquote_to_bytes(path)
    except UnicodeEncodeError:
        return ImageProblem(_INVALID, "the path is not Unicode text")
    if b"\0" in decoded:
        return ImageProblem(_INVALID, "the path holds a NUL")
    if decoded.startswith(b"/"):
        return ImageProblem(_INVALID, "the path is absolute: it must be relative to image_root")
    names = decoded.split(b"/")
    if not {b"", b".", b".."}.isdisjoint(names):
        return ImageProblem(_INVALID, "the path has an empty name, `.` or `..` in it")
    return names


class _Folders:
    """The root, and the folder that the last file was in: the next one is often there too."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._names: list[bytes] = []
        self._folder = root

    def __enter__(self) -> "_Folders":
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        os.close(self._root)

    def opened(self, names: list[bytes]) -> int:
        """Walk from the root, never through a link. Gives the descriptor of the last folder."""
        if names == self._names:
            return self._folder
        self._leave()
        for depth, name in enumerate(names, start=1):
            inner = _open_folder(name, self._folder)
            self._close()
            # Both at once: a walk that ends half way must not pass for another folder.
            self._folder, self._names = inner, names[:depth]
        return self._folder

    def _leave(self) -> None:
        """Go back to the root."""
        self._close()
        self._folder, self._names = self._root, []

    def _close(self) -> None:
        if self._folder != self._root:
            os.close(self._folder)


def _open_folder(name: bytes, within: int) -> int:
    try:
        return os.open(name, _FOLDER_FLAGS, dir_fd=within)
    except NotADirectoryError as error:
        # Linux says of a link to a folder that it is none; its user wants to know the difference.
        if stat.S_ISLNK(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "a link") from error
        raise


def _version(status: os.stat_result) -> Version:
    return (
        *(status.st_dev, status.st_ino, status.st_size),
        *(status.st_mtime_ns, status.st_ctime_ns),
    )


def _content(file: int, status: os.stat_result, bytes_max: int) -> bytes | ImageProblem:
    """Read a regular file, counting: it may grow while it is read."""
    if not stat.S_ISREG(status.st_mode):
        return ImageProblem(Reason.IMAGE_UNREADABLE, "not a regular file")
    if status.st_size > bytes_max:
        return _too_large(bytes_max)
    content = os.read(file, status.st_size + 1)
    while len(content) <= bytes_max and len(content) != status.st_size:
        more = os.read(file, bytes_max + 1 - len(content))
        if not more:
            break
        content += more
    return content if len(content) <= bytes_max else _too_large(bytes_max)


def _too_large(bytes_max: int) -> ImageProblem:
    return ImageProblem(Reason.IMAGE_TOO_LARGE, f"more than {bytes_max} bytes")


def _problem(error: OSError) -> ImageProblem:
    if error.errno in _FAULTS:
        raise error
    if error.errno in _ABSENT:
        return ImageProblem(Reason.IMAGE_NOT_FOUND, "no such file beneath image_root")
    # Linux says ELOOP of a link, macOS too; FreeBSD EMLINK.
    if error.errno in {errno.ELOOP, errno.EMLINK}:
        return ImageProblem(_INVALID, "the path leads through a link")
    return ImageProblem(Reason.IMAGE_UNREADABLE, f"cannot be read: {error.strerror}")
