"""Let this process make no system call but those that decoding needs, by Linux' seccomp.

A filter for the kernel (classic BPF: https://docs.kernel.org/userspace-api/seccomp_filter.html):
what is on the list passes, what only an attack would do ends the process, the rest fails with
EPERM. Memory may be taken, but neither mapped from a file nor made executable.
"""

import ctypes
import errno
import platform
import struct
from collections.abc import Iterator
from typing import Final

_PR_SET_SECCOMP: Final = 22
_MODE_FILTER: Final = 2

_LOAD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_JUMP_IF_AT_LEAST: Final = 0x35
_JUMP_IF_ANY_BIT: Final = 0x45
_RETURN: Final = 0x06

_KILL: Final = 0x8000_0000
_ALLOW: Final = 0x7FFF_0000
_EPERM: Final = 0x0005_0001

# Of struct seccomp_data, on a little-endian machine.
_NUMBER_AT: Final = 0
_PROCESSOR_AT: Final = 4
_THIRD_ARGUMENT_AT: Final = 32
_FOURTH_ARGUMENT_AT: Final = 40

_PROT_EXEC: Final = 4
_MAP_ANONYMOUS: Final = 0x20
_X32: Final = 0x4000_0000
"""On x86-64 a second table of calls begins here."""


_PROCESSORS: Final = ("x86_64", "aarch64")
_AUDIT: Final = (0xC000_003E, 0xC000_00B7)
"""The kernel's own names of the two."""

ALLOWED: Final = {
    "read": (0, 63),
    "write": (1, 64),
    "futex": (202, 98),
    "munmap": (11, 215),
    "madvise": (28, 233),
    "mremap": (25, 216),
    "brk": (12, 214),
    "clock_gettime": (228, 113),
    "getrandom": (318, 278),
    "sched_yield": (24, 124),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
DEADLY: Final = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "bpf": (321, 280),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
MMAP: Final = (9, 222)
MPROTECT: Final = (10, 226)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict() -> bool:
    """Restrict this thread for good; False where kernel or processor are not known to do it.

    `no_new_privs` must be set. Raises OSError.
    """
    if platform.machine() not in _PROCESSORS:
        return False
    instructions = b"".join(program(_PROCESSORS.index(platform.machine())))
    filtering = _Program(len(instructions) // 8, instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    rest = (_MODE_FILTER, ctypes.addressof(filtering), 0, 0)
    if libc.prctl(_PR_SET_SECCOMP, *map(ctypes.c_ulong, rest)) < 0:
        # A kernel that was built without filters knows no such mode.
        if ctypes.get_errno() == errno.EINVAL:
            return False
        raise OSError(ctypes.get_errno(), "seccomp refuses")
    return True


def program(processor: int) -> Iterator[bytes]:
    """Give the filter's instructions, struct sock_filter each; `processor` is a column above."""
    yield _instruction(_LOAD, _PROCESSOR_AT)
    yield from _unless(_JUMP_IF_EQUAL, _AUDIT[processor], _KILL)
    yield _instruction(_LOAD, _NUMBER_AT)
    yield from _when(_JUMP_IF_AT_LEAST, _X32, _KILL)
    for numbers in ALLOWED.values():
        yield from _when(_JUMP_IF_EQUAL, numbers[processor], _ALLOW)
    for numbers in DEADLY.values():
        yield from _when(_JUMP_IF_EQUAL, numbers[processor], _KILL)
    yield from _if_number(MMAP[processor], [*_never_executable(), *_of_no_file()])
    yield from _if_number(MPROTECT[processor], [*_never_executable()])
    yield _instruction(_RETURN, _EPERM)


def _if_number(number: int, checks: list[bytes]) -> Iterator[bytes]:
    """Allow one call when its arguments pass the checks, which return where they do not."""
    yield _instruction(_JUMP_IF_EQUAL, number, otherwise=len(checks) + 1)
    yield from checks
    yield _instruction(_RETURN, _ALLOW)


def _never_executable() -> Iterator[bytes]:
    yield _instruction(_LOAD, _THIRD_ARGUMENT_AT)
    yield from _when(_JUMP_IF_ANY_BIT, _PROT_EXEC, _EPERM)


def _of_no_file() -> Iterator[bytes]:
    yield _instruction(_LOAD, _FOURTH_ARGUMENT_AT)
    yield from _unless(_JUMP_IF_ANY_BIT, _MAP_ANONYMOUS, _EPERM)


def _when(test: int, value: int, verdict: int) -> Iterator[bytes]:
    yield _instruction(test, value, otherwise=1)
    yield _instruction(_RETURN, verdict)


def _unless(test: int, value: int, verdict: int) -> Iterator[bytes]:
    yield _instruction(test, value, then=1)
    yield _instruction(_RETURN, verdict)


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """Of a jump: how many instructions are skipped then, and otherwise."""
    return struct.pack("=HBBI", code, then, otherwise, value)
