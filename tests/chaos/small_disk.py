"""A disk of a few MiB in a folder, to be filled, or made read-only: a tmpfs. Needs Linux, root."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

BLOCK: Final = bytes(1 << 20)


class SmallDisk:
    """One that is mounted on `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as ballast:
            for block in (BLOCK, bytes(4096)):
                try:
                    while ballast.write(block) == len(block):
                        continue
                except OSError:
                    continue

    @property
    def free_bytes(self) -> int:
        """What may still be written."""
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def relieve(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def set_read_only(self, *, on: bool) -> None:
        """Forbid writing, or allow it again; no file on it may be open for writing."""
        _mount("-o", f"remount,{'ro' if on else 'rw'}", str(self.folder))


def lacking() -> str:
    """Say why there can be none here; empty when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs Linux and root, to mount a tmpfs"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), 1):
                return ""
        except (OSError, subprocess.CalledProcessError):
            return "may not mount a tmpfs here: give the container CAP_SYS_ADMIN"


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[SmallDisk]:
    """Mount one on a folder, and unmount it whatever happened."""
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: what still has files open there is about to end.
        subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
