"""The worker's half of a trial: a record is worked on in a child, which may die of it.

Settings enter once, then records one at a time; what each comes to leaves. The child is
`worker.trial_process`. It has all that the worker has, and is confined by nothing: what is tried
is whether a worker would live on.
"""

import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from schemas.reasons import Reason
from worker.messages import Outcome, Outgoing, Record
from worker.poison import MachineFault

COMMAND: Final = (sys.executable, "-P", "-m", "worker.trial_process")
START_S: Final = 60.0
_LAST_BREATH_S: Final = 0.5
_READ_BYTES: Final = 1 << 16
_HEAD: Final = struct.Struct("<I")
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_ENVIRONMENT: Final = {
    "MALLOC_ARENA_MAX": "2",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Task(msgspec.Struct, frozen=True):
    """All that a child is told at its start: settings as JSON, and the partitions of verdicts."""

    settings: str
    partitions: int


class Ready(msgspec.Struct, frozen=True):
    """A child is ready to work; or it cannot be, for this reason."""

    refused: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What a record came to; with no `outgoing` a fault of machine or model, the `trouble`."""

    outgoing: Outgoing | None
    label: str | None = None
    confidence: float | None = None
    reason: Reason | None = None
    trouble: str = ""

    def of(self, record: Record) -> Outcome:
        """Give it as the outcome of the worker's own record. Raises MachineFault."""
        if self.outgoing is None:
            raise MachineFault(f"in the child that tries posts: {self.trouble}")
        return Outcome(record, self.outgoing, self.label, self.confidence, self.reason)


Said = TypeVar("Said", Ready, Answer)


class Died(Exception):
    """The child ended over a record, and nobody of this worker told it to; `how` says by what."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class TrialChild:
    """A child from its start to its end. One thread uses it, any may kill it.

    The kernel ends it with the thread that started it.
    """

    def __init__(
        self, task: Task, record_timeout_s: float, command: Sequence[str] = COMMAND
    ) -> None:
        self._timeout_s = record_timeout_s
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ENVIRONMENT,
            process_group=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests = self._process.stdin.fileno()
        self._answers = self._process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._tell(task)

    def wait_ready(self) -> None:
        """Wait until it can work. Raises MachineFault: nothing was tried if it does not start."""
        try:
            ready = self._heard(Ready, START_S)
        except Died as died:
            raise MachineFault(f"the child that tries posts does not start: {died.how}") from died
        if ready.refused:
            raise MachineFault(f"the child that tries posts does not start: {ready.refused}")

    def work_on(self, record: Record) -> Answer:
        """Have it work on a record.

        Raises:
            Died: it ended, and not by `kill`.
            MachineFault: it did not answer in time, and was ended: a disk or a host that hangs
                does that as well as a post.
        """
        self._tell(record)
        return self._heard(Answer, self._timeout_s)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def close(self) -> None:
        """End it, and give back what it held."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _tell(self, what: Task | Record) -> None:
        written = framed(what)
        # One that has died is heard of by its silence.
        with suppress(BrokenPipeError):
            while written:
                written = written[os.write(self._requests, written) :]

    def _heard(self, kind: type[Said], timeout_s: float) -> Said:
        deadline_s = time.monotonic() + timeout_s
        heard = b""
        while (missing := missing_bytes(heard)) > 0:
            if not self._poll.poll(max(0.0, deadline_s - time.monotonic()) * 1000):
                self.kill()
                raise MachineFault(f"the child that tries posts gave no answer in {timeout_s:g} s")
            more = os.read(self._answers, min(missing, _READ_BYTES))
            if not more:
                raise Died(self._how_it_ended())
            heard += more
        try:
            return msgspec.msgpack.decode(content_of(heard), type=kind)
        except msgspec.DecodeError as error:
            raise MachineFault("the child that tries posts answers what is no answer") from error

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def framed(what: Task | Record | Ready | Answer) -> bytes:
    """Write what one says to the other: a length, and MessagePack."""
    content = _ENCODE(what)
    return _HEAD.pack(len(content)) + content


def missing_bytes(begun: bytes) -> int:
    """How much is missing of the frame that has begun; of less than its head, of that."""
    if len(begun) < _HEAD.size:
        return _HEAD.size - len(begun)
    return _HEAD.size + int(_HEAD.unpack_from(begun)[0]) - len(begun)


def content_of(frame: bytes) -> bytes:
    """Give what stands in a whole frame."""
    return frame[_HEAD.size :]
