"""Take all files, ports and abstract sockets away from this process, by Linux' Landlock.

A ruleset that handles every right and allows none. Each version of the kernel's interface (ABI)
knows more rights than the one before: https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
from typing import Final

# The same on every architecture.
_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1

_FILE_RIGHTS: Final = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many file rights an ABI knows; from 5 on there are no new ones."""
_NET_SINCE: Final = 4
SCOPES_SINCE: Final = 6


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_files", ctypes.c_uint64),
        ("handled_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def restrict() -> bool:
    """Restrict this thread for good; False where the kernel has no Landlock.

    `no_new_privs` must be set. Raises OSError.
    """
    version = abi()
    if version < 1:
        return False
    rules = _Ruleset(
        (1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1,
        0b11 if version >= _NET_SINCE else 0,
        0b11 if version >= SCOPES_SINCE else 0,
    )
    ruleset = _checked(_call(_CREATE_RULESET, ctypes.addressof(rules), ctypes.sizeof(rules), 0))
    try:
        _checked(_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def abi() -> int:
    """The version of the kernel's interface; less than 1 without one."""
    return _call(_CREATE_RULESET, None, 0, _ASK_VERSION)


def _call(number: int, *arguments: int | None) -> int:
    """Make a system call that the C library has no function for."""
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(*(ctypes.c_long(each or 0) for each in (number, *arguments))))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses")
    return result
