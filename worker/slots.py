"""Claim a slot: the number that tells this worker from the others of its group and instance.

A slot is a lock on a file of the user's runtime folder, which the system releases when the
process dies, however it dies. The files stay: to delete one would let two processes lock two
files of one name.
"""

import fcntl
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import platformdirs

from worker.errors import SlotTaken

SLOTS_MAX: Final = 10_000


def slot_id(group: str, instance: str, slot: int) -> str:
    """Name a slot as Kafka knows it: the transactional id of whoever holds it."""
    return f"{group}-{instance}-{slot}"


@contextmanager
def claimed(
    group: str, instance: str, slot: int | None, folder: Path | None = None
) -> Iterator[int]:
    """Hold the first free slot, or the one that is named, and give its number.

    Raises SlotTaken, with the process that holds it, when the named one is not free.
    """
    folder = folder or _runtime_folder()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, lock = (
        _pinned(folder, group, instance, slot)
        if slot is not None
        else _first_free(folder, group, instance)
    )
    try:
        yield number
    finally:
        os.close(lock)


def _runtime_folder() -> Path:
    with warnings.catch_warnings():
        # A machine without XDG_RUNTIME_DIR (a container) gets a folder of the user's in /tmp.
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_path("tuwen")


def _pinned(folder: Path, group: str, instance: str, slot: int) -> tuple[int, int]:
    path = _path(folder, group, instance, slot)
    lock = _lock(path)
    if lock is None:
        raise SlotTaken(
            f"slot {slot} of {group} on {instance} is taken by process {_holder(path)}: "
            "stop that worker, or name another slot"
        )
    return slot, lock


def _first_free(folder: Path, group: str, instance: str) -> tuple[int, int]:
    for slot in range(SLOTS_MAX):
        lock = _lock(_path(folder, group, instance, slot))
        if lock is not None:
            return slot, lock
    raise SlotTaken(f"all {SLOTS_MAX} slots of {group} on {instance} are taken")


def _path(folder: Path, group: str, instance: str, slot: int) -> Path:
    return folder / f"{slot_id(group, instance, slot)}.slot"


def _lock(path: Path) -> int | None:
    """Lock the file and write the process into it; None when another process has it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    os.ftruncate(file, 0)
    os.write(file, str(os.getpid()).encode())
    return file


def _holder(path: Path) -> str:
    """Which process wrote itself into the file; it may still be about to."""
    return path.read_text() or "unknown"
