"""The worker's half of a decoder child: start it, ask it for a batch, and see how it ended."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

from features.images import ImageLimits, ImageProblem, Pixels
from schemas.manifest import ImageInput
from worker.images.decoder_child.arena import Arena, Layout, shared_file
from worker.images.decoder_child.conversation import (
    FRAME_BYTES_MAX,
    FRAME_HEAD_BYTES,
    ROWS_MAX,
    Answer,
    Lock,
    Ready,
    Task,
    frame_bytes,
    request,
)

COMMAND: Final = (sys.executable, "-P", "-m", "worker.images.decoder_child")

LIFE_S: Final = 300.0
"""After so long at work a child is replaced: what a stranger's image left in it goes with it."""

# A batch of the slowest images on top, within the longest timeout that can be set.
_CPU_S: Final = int(LIFE_S) + ROWS_MAX * 60
START_S: Final = 20.0
# Of a long batch the worker looks this often which row is in work.
_LOOK_EVERY_MS: Final = 5
_LAST_BREATH_S: Final = 0.5
_LAST_WORDS_BYTES_MAX: Final = 20_000

_PASSED_ON: Final = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_ENVIRONMENT: Final = {
    # A second thread would not be confined.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # Else glibc keeps tens of megabytes of a large image for the next one.
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    "MALLOC_TRIM_THRESHOLD_": "4194304",
}

_Said = TypeVar("_Said", Ready, Answer)


class DecoderUnavailable(RuntimeError):
    """No decoder child can be started; the text says why."""


class Ending(StrEnum):
    """How a child came to its end: a label of a metric."""

    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    KILLED = "killed"
    """By a SIGKILL of somebody else's: the kernel that is out of memory, or an operator."""
    MISBEHAVED = "misbehaved"
    WORN_OUT = "worn-out"


@dataclass(frozen=True, slots=True)
class Ended:
    """A child ended over a batch; `row` is the one it said it worked on, if that makes sense."""

    why: Ending
    row: int | None


@dataclass(frozen=True, slots=True)
class Needs:
    """What decoding takes: how images become pixels, the caps, and seconds for one image."""

    spec: ImageInput
    limits: ImageLimits
    image_timeout_s: float

    @property
    def layout(self) -> Layout:
        """The shared memory: each image fits, and so does any batch of usual ones."""
        shape = (self.spec.height, self.spec.width, self.spec.channels)
        return Layout(ROWS_MAX, max(self.limits.bytes_max, 8 * 2**20), shape)

    @property
    def memory_bytes(self) -> int:
        """What one image may take: a transparent WebP takes 24 bytes a pixel, for a moment."""
        return 128 * 2**20 + 2 * self.limits.bytes_max + 28 * self.limits.pixels_max


class DecoderChild:
    """A child from its start to its end. One thread at a time uses it; any may kill it."""

    def __init__(self, needs: Needs, command: Sequence[str] = COMMAND) -> None:
        self._needs = needs
        self._batch = 0
        self._worked_s = 0.0
        layout = needs.layout
        file = shared_file(layout.total_bytes)
        try:
            self._arena = Arena(file, layout)
            task = Task(needs.spec, needs.limits, layout, file, needs.memory_bytes, _CPU_S)
            self._process = subprocess.Popen(
                [*command, msgspec.json.encode(task).decode()],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(file,),
                cwd="/",
                env=_environment(os.environ),
                process_group=0,
            )
        finally:
            os.close(file)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.locks: Sequence[Lock] = ()
        self._requests = self._process.stdin.fileno()
        self._answers = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)

    def wait_ready(self) -> None:
        """Wait until it decodes, confined. Raises DecoderUnavailable."""
        late = not self._poll.poll(START_S * 1000)
        ready = _read(Ending.TIMED_OUT if late else self._heard(), Ready)
        if isinstance(ready, Ending):
            raise DecoderUnavailable(f"it does not start: {self._last_words()}")
        # What it prints from now on has no reader, and cannot fill a pipe.
        assert self._process.stderr is not None
        self._process.stderr.close()
        self.locks = ready.locks

    @property
    def worn_out(self) -> bool:
        """Whether it has worked long enough."""
        return self._worked_s > LIFE_S

    def decode(self, images: Sequence[bytes]) -> list[Pixels | ImageProblem] | Ended:
        """Decode what fits into one request; after Ended there is nothing more to be had."""
        self._batch += 1
        began_s = time.monotonic()
        self._arena.fill(images)
        # One that died before it was asked has begun no row, and its pipe ends.
        with suppress(BrokenPipeError):
            os.write(self._requests, request(self._batch, images))
        if self._is_overdue(len(images), began_s):
            return self._ended(Ending.TIMED_OUT, len(images))
        answer = _read(self._heard(), Answer)
        self._worked_s += time.monotonic() - began_s
        if isinstance(answer, Ending):
            return self._ended(answer, len(images))
        if answer.batch != self._batch or any(p.row >= len(images) for p in answer.problems):
            return self._ended(Ending.MISBEHAVED, len(images))
        return self._found(answer, len(images))

    def kill(self) -> None:
        """End it at once: whoever waits for it sees it end."""
        self._process.kill()

    def close(self) -> None:
        """End it, and give back what it held."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            pipe.close()
        self._arena.close()

    def _is_overdue(self, rows: int, began_s: float) -> bool:
        """Wait for an answer; True when one image is in work for longer than it may be."""
        row = 0
        while not self._poll.poll(_LOOK_EVERY_MS):
            now_s, in_work = time.monotonic(), self._arena.row_in_work(rows) or 0
            # Only forwards: so a batch takes no longer than all of its images may.
            if in_work > row:
                row, began_s = in_work, now_s
            elif now_s - began_s > self._needs.image_timeout_s:
                return True
        return False

    def _found(self, answer: Answer, rows: int) -> list[Pixels | ImageProblem]:
        found: list[Pixels | ImageProblem] = list(self._arena.pixels(rows))
        for problem in answer.problems:
            found[problem.row] = ImageProblem(problem.reason, problem.detail)
        return found

    def _ended(self, why: Ending, rows: int) -> Ended:
        # A child that answers nonsense may have gone on to other rows since.
        return Ended(why, self._arena.row_in_work(0 if why is Ending.MISBEHAVED else rows))

    def _heard(self) -> bytes | Ending:
        """Read the frame that has begun to come, and nothing after it; or say what came instead."""
        heard, deadline_s = b"", time.monotonic() + _LAST_BREATH_S
        while True:
            more = os.read(self._answers, FRAME_BYTES_MAX)
            if not more:
                return self._how_it_ended()
            heard += more
            missing = frame_bytes(heard) - len(heard)
            if missing == 0:
                return heard[FRAME_HEAD_BYTES:]
            # What has come is more than a frame, will never be one, or comes byte by byte.
            left_s = deadline_s - time.monotonic()
            if (
                not 0 < missing < FRAME_BYTES_MAX
                or left_s < 0
                or not self._poll.poll(left_s * 1000)
            ):
                return Ending.MISBEHAVED

    def _how_it_ended(self) -> Ending:
        """Give a process that closes its pipe the time to end."""
        try:
            code = self._process.wait(_LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            return Ending.MISBEHAVED
        return Ending.KILLED if code == -signal.SIGKILL else Ending.CRASHED

    def _last_words(self) -> str:
        """The last line that a child wrote before it was ready."""
        self.kill()
        assert self._process.stderr is not None
        said = self._process.stderr.read(_LAST_WORDS_BYTES_MAX)
        lines = said.decode("utf-8", "replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "it says nothing")


def _read(content: bytes | Ending, kind: type[_Said]) -> _Said | Ending:
    """Take what a child said for what it should be, or as a misdeed."""
    if isinstance(content, Ending):
        return content
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except msgspec.DecodeError:
        return Ending.MISBEHAVED


def _environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What a child needs to find its modules; no setting and no secret of the worker's."""
    passed_on = {name: variables[name] for name in _PASSED_ON if name in variables}
    return passed_on | _ENVIRONMENT
