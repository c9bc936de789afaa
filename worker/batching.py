"""Records that have arrived, and the next batch of them: whatever is there, up to a bound."""

import threading
from collections import deque
from collections.abc import Iterable, Sequence

from worker.messages import Record


class Inbox:
    """Hands records from the poll thread to the stage after it, in the order of their arrival.

    Its length has no bound of its own: the pipeline stops polling while too much is in flight.
    """

    def __init__(self, batch_records_max: int) -> None:
        self._batch_records_max = batch_records_max
        self._records: deque[Record] = deque()
        self._closed = False
        self._changed = threading.Condition()

    def put(self, records: Iterable[Record]) -> None:
        """Add what a poll brought."""
        with self._changed:
            self._records.extend(records)
            self._changed.notify()

    def take(self, timeout_s: float | None = None) -> Sequence[Record]:
        """Wait for records and take a batch; an empty one where none came, or none will."""
        with self._changed:
            self._changed.wait_for(lambda: self._records or self._closed, timeout_s)
            if self._closed:
                return ()
            count = min(len(self._records), self._batch_records_max)
            return [self._records.popleft() for _ in range(count)]

    @property
    def closed(self) -> bool:
        """Whether it gives no more records."""
        return self._closed

    def close(self) -> None:
        """Give no more records, not even those that wait: who owns them next reads them again."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return len(self._records)
