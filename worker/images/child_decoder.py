"""Decode in a child process: an image that ends its decoder costs itself alone."""

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final, get_args

import structlog

from features.images import ImageProblem, Pixels, too_large
from schemas.reasons import Reason
from worker.images.decoder_child.child import (
    COMMAND,
    DecoderChild,
    DecoderUnavailable,
    Ended,
    Ending,
    Needs,
)
from worker.images.decoder_child.conversation import ROWS_MAX, Lock
from worker.images.decoder_child.spare import SpareChild

Rows = list[int]

_CLOSE_S: Final = 1.0


class ChildDecoder:
    """A `Decoder` whose work is done by a child, with a spare that takes over when it ends."""

    def __init__(
        self,
        needs: Needs,
        ended: Callable[[Ending], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Start the first child and wait for it; `ended` is told of each that is replaced.

        Raises DecoderUnavailable.
        """
        self._needs = needs
        self._image_bytes_max = needs.layout.image_bytes
        self._tell_ended = ended
        self._log = structlog.get_logger()
        self._in_use = threading.Lock()
        self._spare = SpareChild(lambda: DecoderChild(needs, command))
        try:
            self._child = self._spare.take()
        except DecoderUnavailable:
            self._spare.close()
            raise
        self._log_locks(self._child.locks)

    @property
    def pid(self) -> int:
        """The process that decodes now."""
        return self._child.pid

    def decode(self, images: Sequence[bytes]) -> list[Pixels | ImageProblem]:
        """Give each image's pixels or the reason against it. Raises DecoderUnavailable."""
        found: dict[int, Pixels | ImageProblem] = {}
        waiting: Rows = []
        for row, image in enumerate(images):
            problem = too_large(image, self._needs.limits)
            if problem is None:
                waiting.append(row)
            else:
                found[row] = problem
        with self._in_use:
            for rows in self._requests(images, waiting):
                found |= self._decoded(images, rows)
        return [found[row] for row in range(len(images))]

    def close(self) -> None:
        """End all children, whatever they are at."""
        self._spare.close()
        # On Linux it ends with the thread that started it, which has just ended.
        self._child.kill()
        # A batch that is in work sees its child end, and no other begin.
        if self._in_use.acquire(timeout=_CLOSE_S):
            self._child.close()
            self._in_use.release()

    def _requests(self, images: Sequence[bytes], rows: Rows) -> Iterator[Rows]:
        """Cut a batch into what the shared memory takes at once."""
        request: Rows = []
        size = 0
        for row in rows:
            if len(request) == ROWS_MAX or size + len(images[row]) > self._image_bytes_max:
                yield request
                request, size = [], 0
            request.append(row)
            size += len(images[row])
        if request:
            yield request

    def _decoded(self, images: Sequence[bytes], request: Rows) -> dict[int, Pixels | ImageProblem]:
        """Decode a request, whatever ends the child; of one that ended no pixels are taken."""
        found: dict[int, Pixels | ImageProblem] = {}
        parts = deque([request])
        faults = 0
        while parts:
            rows = parts.popleft()
            answer = self._child.decode([images[row] for row in rows])
            if not isinstance(answer, Ended):
                found |= zip(rows, answer, strict=True)
                continue
            self._replace(answer.why)
            faults += 1
            culprit, again = apart(rows, answer, faults)
            parts.extendleft(reversed(again))
            if culprit is not None:
                found[culprit] = _problem(answer.why, self._needs.image_timeout_s)
        if self._child.worn_out:
            self._replace(Ending.WORN_OUT)
        return found

    def _log_locks(self, locks: Collection[Lock]) -> None:
        missing = [lock for lock in get_args(Lock) if lock not in locks]
        if missing:
            self._log.warning("the decoder child is confined in part", by=locks, not_by=missing)
        else:
            self._log.info("the decoder child is confined", by=locks)

    def _replace(self, why: Ending) -> None:
        """Let the spare take over."""
        self._tell_ended(why)
        self._log.info("the decoder child is replaced", why=why, pid=self._child.pid)
        self._child.kill()
        self._child = self._spare.take([self._child])


def apart(rows: Rows, ended: Ended, faults: int) -> tuple[int | None, list[Rows]]:
    """Give the row that is to blame for the end of a child, and what is decoded again.

    The child's own word names the culprit of the first fault of a request. It may be a lie, or
    garbage: so from the second on the row that is named is decoded alone, and the others without
    it. A child that somebody killed, or that had not begun, is no image's fault at first.
    """
    outside = ended.why is Ending.KILLED or ended.row is None
    if outside and faults == 1:
        return None, [rows]
    if len(rows) == 1:
        return rows[0], []
    named = len(rows) // 2 if ended.row is None else ended.row
    before, after = rows[:named], rows[named + 1 :]
    if faults == 1:
        return rows[named], list(filter(None, [before + after]))
    return None, list(filter(None, [before, [rows[named]], after]))


def _problem(why: Ending, image_timeout_s: float) -> ImageProblem:
    if why is Ending.TIMED_OUT:
        return ImageProblem(
            Reason.IMAGE_DECODING_TOO_SLOW, f"not decoded within {image_timeout_s:g} s"
        )
    how = {Ending.KILLED: "was killed", Ending.MISBEHAVED: "answers what is no answer"}
    return ImageProblem(
        Reason.IMAGE_DECODER_CRASHED, f"the decoder {how.get(why, 'crashes')} over it"
    )
