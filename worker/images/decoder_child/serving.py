"""The decoder child: a task enters as its argument, then requests; answers and pixels leave."""

import os
import signal
import warnings
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from features.images import ImageLimits, ImageProblem, Pixels, decode
from schemas.manifest import ImageInput
from worker.images.decoder_child import warm_up
from worker.images.decoder_child.arena import Arena
from worker.images.decoder_child.confinement import confine, end_with_parent
from worker.images.decoder_child.conversation import (
    REQUEST_BYTES_MAX,
    Answer,
    Problem,
    Ready,
    Task,
    frame,
    requested,
)

Decode = Callable[[bytes, ImageInput, ImageLimits], Pixels | ImageProblem]

_REQUESTS: Final = 0
# Not the worker's: a sample that is refused by its size warms nothing up.
_SAMPLE_LIMITS: Final = ImageLimits(1 << 20, 1 << 20)
_IGNORED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(arguments: Sequence[str], decoding: Decode = decode) -> None:
    """Confine this process, then decode until the worker closes its end of the pipe."""
    # A service manager may signal all processes of a worker: it needs its decoder to finish.
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    end_with_parent()
    # Nobody reads what a library thinks of an image.
    warnings.simplefilter("ignore")
    task = msgspec.json.decode(arguments[0], type=Task)
    arena = Arena(task.arena, task.layout)
    os.close(task.arena)
    answers = _only_answers()
    samples = tuple(warm_up.images())
    free = _decoded(samples, task.spec)
    locks = confine(task.memory_bytes, task.cpu_s)
    # What would be imported late fails now, and not with a stranger's image.
    if _decoded(samples, task.spec) != free:
        raise ImportError("images are decoded in another way once the process is confined")
    os.write(answers, frame(Ready(locks)))
    _serve(task, arena, answers, decoding)


def _serve(task: Task, arena: Arena, answers: int, decoding: Decode) -> None:
    while asked := os.read(_REQUESTS, REQUEST_BYTES_MAX):
        batch, lengths = requested(asked)
        problems = []
        start = 0
        for row, length in enumerate(lengths):
            arena.begin(row)
            found = decoding(arena.image(start, length), task.spec, task.limits)
            if isinstance(found, ImageProblem):
                problems.append(Problem(row, found.reason, found.detail))
            else:
                arena.keep(row, found)
            start += length
        os.write(answers, frame(Answer(batch, tuple(problems))))


def _decoded(samples: Sequence[bytes], spec: ImageInput) -> list[bytes | ImageProblem]:
    found = [decode(sample, spec, _SAMPLE_LIMITS) for sample in samples]
    return [one if isinstance(one, ImageProblem) else one.tobytes() for one in found]


def _only_answers() -> int:
    """Give the pipe of the answers another number, so that nothing printed is taken for one."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return answers
