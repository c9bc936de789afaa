"""Watch how far partitions are behind their logs, and for how long one has not moved.

Positions and ends enter, now and then; gauges leave, a log line when a partition stalls, and one
when it moves again. The lag is the stable end less the position all of whose records are committed:
markers of transactions behind the last record have been passed by then, and are no lag.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from worker.kafka.broker import Ends
from worker.messages import Partition
from worker.metrics import Metrics


@dataclass(slots=True)
class _Standing:
    """Since when an offset stands still that should move, and whether that was told."""

    offset: int = -1
    since_s: float = 0.0
    told: bool = False

    def seconds(self, offset: int, now_s: float, *, should_move: bool) -> float:
        """Note where the offset is, and say for how long it has been there in spite of all."""
        if offset != self.offset or not should_move:
            self.offset, self.since_s = offset, now_s
        return now_s - self.since_s


@dataclass(slots=True)
class _Watched:
    ends: Ends
    position: _Standing = field(default_factory=_Standing)
    stable: _Standing = field(default_factory=_Standing)


class LagWatch:
    """Belongs to the poll thread. `stalled_after_s` is when standing still is worth a line."""

    def __init__(self, metrics: Metrics, stalled_after_s: float) -> None:
        self._metrics = metrics
        self._stalled_after_s = stalled_after_s
        self._watched: dict[Partition, _Watched] = {}
        self._log = structlog.get_logger()

    def look(
        self, positions: Mapping[Partition, int], ends: Mapping[Partition, Ends], now_s: float
    ) -> None:
        """Note positions and ends; where an end is not known now, the last one stands for it."""
        for partition, position in positions.items():
            watched, end = self._watched.get(partition), ends.get(partition)
            if end is not None:
                watched = watched or _Watched(end)
                watched.ends = end
                self._watched[partition] = watched
            if watched is not None:
                self._look_at(partition, watched, position, now_s)

    def forget(self, partition: Partition) -> None:
        """Watch no longer what is another worker's; it starts anew if it comes back."""
        self._watched.pop(partition, None)
        self._metrics.forget(partition)

    def _look_at(
        self, partition: Partition, watched: _Watched, position: int, now_s: float
    ) -> None:
        stable, high = watched.ends.stable, watched.ends.high
        lag = max(0, stable - position)
        uncommitted_s = watched.position.seconds(position, now_s, should_move=lag > 0)
        stuck_s = watched.stable.seconds(stable, now_s, should_move=high > stable)
        self._metrics.lag(partition, lag, uncommitted_s, stuck_s)
        standings = (
            (watched.position, uncommitted_s, "partition stalled", "partition moves again"),
            (watched.stable, stuck_s, "an open transaction hides records", "records show again"),
        )
        for standing, seconds, stalled, moves in standings:
            if standing.told != (seconds >= self._stalled_after_s):
                standing.told = not standing.told
                say = self._log.warning if standing.told else self._log.info
                say(
                    stalled if standing.told else moves,
                    topic=partition.topic,
                    partition=partition.number,
                    position=position,
                    stable=stable,
                    high=high,
                    for_s=round(seconds, 1),
                )
