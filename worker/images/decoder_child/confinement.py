"""Take from this process all that decoding does not need, for good, and say by which locks.

The order matters: all that is imported and opened must be so by now; Landlock needs a descriptor,
so it comes before the limits; and the filter of system calls, which forbids the others, is last.
"""

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Final

from worker.images.decoder_child import landlock, seccomp
from worker.images.decoder_child.conversation import Lock

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_KILL: Final = 9


class NotAlone(RuntimeError):
    """The process has a second thread, which Landlock and seccomp would leave free."""


def end_with_parent() -> None:
    """Have the kernel end this process with the thread that started it, where it can."""
    if sys.platform == "linux":
        _prctl(_PR_SET_PDEATHSIG, _KILL)


def confine(memory_bytes: int, cpu_s: int) -> tuple[Lock, ...]:
    """Lock this process down; `memory_bytes` and `cpu_s` are what it may use beyond now.

    Raises NotAlone, OSError.
    """
    if sys.platform != "linux":
        # macOS does not keep to a limit of memory, and refuses it.
        limit(None, cpu_s)
        return ("resource-limits",)
    _check_alone()
    # Read before Landlock takes it away.
    memory_bytes += address_space_bytes()
    # No dump is written of a process that crashes, and no other process of the user looks inside.
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    locks: list[Lock] = ["no-new-privileges"]
    if landlock.restrict():
        locks.append("landlock")
    limit(memory_bytes, cpu_s)
    locks.append("resource-limits")
    if seccomp.restrict():
        locks.append("seccomp")
    return tuple(locks)


def limit(memory_bytes: int | None, cpu_s: int) -> None:
    """Set the limits of resources; none can be raised again. Memory is the whole address space."""
    used_s = int(sum(os.times()[:2]))
    # First a signal of its own: SIGKILL would pass for somebody else's.
    _set(resource.RLIMIT_CPU, used_s + cpu_s, spare=5)
    for none in (
        resource.RLIMIT_NOFILE,
        resource.RLIMIT_NPROC,
        resource.RLIMIT_FSIZE,
        resource.RLIMIT_CORE,
    ):
        _set(none, 0)
    if memory_bytes is not None:
        _set(resource.RLIMIT_AS, memory_bytes)


def _set(kind: int, value: int, spare: int = 0) -> None:
    _, hard = resource.getrlimit(kind)
    highest = value + spare if hard == resource.RLIM_INFINITY else min(value + spare, hard)
    resource.setrlimit(kind, (min(value, highest), highest))


def address_space_bytes() -> int:
    """What this process has mapped. Raises OSError."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


def _check_alone() -> None:
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads > 1:
        raise NotAlone(f"{threads} threads, and only one would be confined")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) < 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} refuses")
