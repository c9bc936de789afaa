"""A decoder child in which some images are poison: run by its path, confined as the real one is.

An image `poison:NAME` calls the function of that name; what it was refused is told as a detail.
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from features.images import ImageLimits, ImageProblem, Pixels, decode
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from worker.images.decoder_child import serving
from worker.images.decoder_child.arena import Arena
from worker.images.decoder_child.conversation import Answer, Problem, frame

PREFIX = b"poison:"
_ARENAS: list[Arena] = []
_PIPES: list[int] = []


class RememberedArena(Arena):
    """The arena, where poison finds it."""

    def __init__(self, *told: object) -> None:
        super().__init__(*told)  # type: ignore[arg-type]
        _ARENAS.append(self)


def remembered_answers(answers: Callable[[], int] = serving._only_answers) -> int:
    """The pipe of the answers, where poison finds it."""
    _PIPES.append(answers())
    return _PIPES[0]


def open_file() -> object:
    """Read a file that everybody may read."""
    return Path("/etc/passwd").read_bytes()


def write_file() -> object:
    """Leave a file behind."""
    return Path("/tmp/tuwen-poison").write_bytes(b"x")


def open_socket() -> object:
    """Have a socket, which is more than half of a connection."""
    return socket.socket()


def start_program() -> object:
    """Become another program."""
    os.execv("/bin/true", ["true"])


def fork() -> object:
    """Become two."""
    return os.fork()


def start_thread() -> object:
    """Have a thread."""
    thread = threading.Thread(target=int)
    thread.start()
    return thread


def signal_parent() -> object:
    """End the worker."""
    os.kill(os.getppid(), signal.SIGTERM)
    return "sent"


def map_code() -> object:
    """Have memory that can be written to and executed."""
    return mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)


def raise_limits() -> object:
    """Have more descriptors."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (10, 10))
    return resource.getrlimit(resource.RLIMIT_NOFILE)


def take_memory() -> object:
    """Take 2 GB, and use them."""
    return len(bytearray(2 << 30))


def spin() -> object:
    """Never come back."""
    while True:
        pass


def segfault() -> object:
    """Read what is not there."""
    return ctypes.string_at(0)


def abort() -> object:
    """Give up as glibc does when its heap is damaged."""
    os.abort()


def leave() -> object:
    """End as if all were well."""
    os._exit(0)


def lie() -> object:
    """Name the first image, and end."""
    _ARENAS[0].begin(0)
    return segfault()


def name_nobody() -> object:
    """Name an image that is none, and end."""
    _ARENAS[0].begin(12_345)
    return segfault()


def race_ahead() -> object:
    """Name each image of a batch of three, again and again, and never come back."""
    while True:
        for row in range(3):
            _ARENAS[0].begin(row)


def drip() -> object:
    """Begin a long answer, and say a byte of it every hundredth of a second."""
    os.write(_PIPES[0], b"\0\x70\0\0")
    while True:
        began_s = time.process_time()
        while time.process_time() < began_s + 0.01:
            pass
        os.write(_PIPES[0], b"x")


def say(said: bytes) -> Callable[[], object]:
    """Say something besides the answer, through the pipe of the answers."""
    return lambda: os.write(_PIPES[0], said)


DEEDS = (
    *(open_file, write_file, open_socket, start_program, fork, start_thread, signal_parent),
    *(map_code, raise_limits, take_memory, spin, segfault, abort, leave),
    *(lie, name_nobody, race_ahead, drip),
)
POISONS: dict[bytes, Callable[[], object]] = {
    **{deed.__name__.encode(): deed for deed in DEEDS},
    b"say_much": say(b"\xff" * 4096),
    b"say_too_much": say(b"\xff\xff\xff\x7f"),
    b"say_nonsense": say(b"\x03\0\0\0abc"),
    b"say_half": say(b"\xff\0\0\0"),
    b"say_another_batch": say(frame(Answer(12_345, ()))),
    b"say_another_row": say(frame(Answer(1, (Problem(63, Reason.IMAGE_DAMAGED, ""),)))),
    b"say_another_reason": say(b"\x0b\0\0\0\x92\x01\x91\x93\0\xa4free\xa0"),
    b"say_it_in_chinese": say(frame(Answer(1, (Problem(0, Reason.IMAGE_DAMAGED, "好"),)))),
}


def poisoned(image: bytes, spec: ImageInput, limits: ImageLimits) -> Pixels | ImageProblem:
    """Decode what is an image, and obey what is poison."""
    if not image.startswith(PREFIX):
        return decode(image, spec, limits)
    try:
        got = POISONS[image.removeprefix(PREFIX)]()
    except MemoryError:
        return ImageProblem(Reason.IMAGE_NEEDS_TOO_MUCH_MEMORY, "refused")
    except (OSError, RuntimeError, ValueError) as error:
        return ImageProblem(Reason.IMAGE_UNREADABLE, f"refused: {type(error).__name__}")
    return ImageProblem(Reason.IMAGE_UNREADABLE, f"got {got!r}"[:200])


if __name__ == "__main__":
    serving.Arena = RememberedArena  # type: ignore[assignment,attr-defined]
    serving._only_answers = remembered_answers
    serving.main(sys.argv[1:], poisoned)
