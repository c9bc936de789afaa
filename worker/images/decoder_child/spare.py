"""Keep one decoder child ready beside the one in use, so that another takes over at once."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from worker.images.decoder_child.child import START_S, DecoderChild, DecoderUnavailable

RETRY_S: Final = 1.0
# Meanwhile the worker joins its group; a spare that nobody waits for can come later.
FIRST_SPARE_AFTER_S: Final = 1.0


class SpareChild:
    """A thread that starts children, one ahead. They end with it: it lives as long as they may."""

    def __init__(self, start: Callable[[], DecoderChild]) -> None:
        self._start = start
        self._changed = threading.Condition()
        self._spare: DecoderChild | None = None
        self._starting: DecoderChild | None = None
        self._ended: list[DecoderChild] = []
        self._failure: Exception | None = None
        self._waiting = False
        self._closed = False
        self._thread = threading.Thread(target=self._keep_one, name="decoders", daemon=True)
        self._thread.start()

    def take(self, ended: Sequence[DecoderChild] = ()) -> DecoderChild:
        """Give the spare, or the next to be ready; who `ended` is buried meanwhile.

        Raises DecoderUnavailable.
        """
        with self._changed:
            self._waiting = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._spare or self._failure or self._closed, 2 * START_S
            )
            self._waiting = False
            spare, self._spare = self._spare, None
            if spare is None:
                why = self._failure or "it is closed"
                raise DecoderUnavailable(f"no decoder child: {why}") from self._failure
            # Not before: who got no other asks again, with the same one that has ended.
            self._ended += ended
            self._changed.notify_all()
            return spare

    def close(self) -> None:
        """End the spare, and the thread."""
        with self._changed:
            self._closed = True
            for child in (self._spare, self._starting):
                if child is not None:
                    child.kill()
            self._changed.notify_all()
        self._thread.join()

    def _keep_one(self) -> None:
        self._start_next()
        with self._changed:
            self._changed.wait_for(lambda: self._spare is None or self._closed)
            self._changed.wait_for(lambda: self._waiting or self._closed, FIRST_SPARE_AFTER_S)
        while self._wait_until_wanted():
            self._bury()
            self._start_next()
        self._bury()
        if self._spare is not None:
            self._spare.close()

    def _start_next(self) -> None:
        try:
            self._start_one()
        except Exception as error:  # noqa: BLE001 - told to the thread that waits for a child.
            self._note(error)

    def _bury(self) -> None:
        with self._changed:
            ended, self._ended = self._ended, []
        for child in ended:
            child.close()

    def _wait_until_wanted(self) -> bool:
        with self._changed:
            if self._failure is not None:
                self._changed.wait_for(lambda: self._closed, RETRY_S)
            self._changed.wait_for(lambda: self._spare is None or self._closed)
            self._failure = None
            return not self._closed

    def _start_one(self) -> None:
        child = self._start()
        with self._changed:
            self._starting = child
            if self._closed:
                child.kill()
        try:
            child.wait_ready()
        except DecoderUnavailable:
            child.close()
            raise
        finally:
            with self._changed:
                self._starting = None
        with self._changed:
            self._spare = child
            self._changed.notify_all()

    def _note(self, failure: Exception) -> None:
        with self._changed:
            self._failure = failure
            self._changed.notify_all()
