"""Count verdicts and dead letters as they come in, and give figures at any moment.

Time is an argument: seconds of any clock that only goes forward, and for latencies milliseconds
since the epoch, as in a record's timestamp.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from schemas.verdict import Verdict

RECENT_MAX: Final = 50
LATENCIES_MAX: Final = 200_000
"""A bound on memory: the first so many of a run make its percentiles."""
WINDOW_S: Final = 10
RATE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """A verdict as the reader got it; `text` is the post's, None where it is not known."""

    verdict: Verdict
    text: str | None
    latency_ms: int


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds."""

    p50_ms: int
    p99_ms: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The figures of one moment. `rates` is verdicts per second, oldest second first.

    `verdicts` are those with one of the `labels` and the `unlabelled`.
    """

    verdicts: int
    per_second: float
    rates: Sequence[int]
    lag: int | None
    lags: Sequence[int]
    labels: Mapping[str, int]
    unlabelled: int
    missing: Mapping[str, int]
    rejected: Mapping[str, int]
    latency: Latency | None
    recent: Sequence[Seen]


@dataclass(slots=True)
class Tally:
    """What was counted since the start."""

    labels: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[int] = field(default_factory=list)
    _seconds: Counter[int] = field(default_factory=Counter)
    _window: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=20_000))
    _recent: deque[Seen] = field(default_factory=lambda: deque(maxlen=RECENT_MAX))
    _lags: deque[int] = field(default_factory=lambda: deque(maxlen=120))
    _batches: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=2_000))

    def verdicts(self, seen: Sequence[Seen], now_s: float) -> None:
        """Count a batch of verdicts."""
        if seen and not self.labels:
            # The bundle's order, which is the order of the scores, for all that is drawn.
            self.labels.update(dict.fromkeys(seen[0].verdict.scores, 0))
        for one in seen:
            if one.verdict.label is None:
                self.unlabelled += 1
            else:
                self.labels[one.verdict.label] += 1
            if one.verdict.missing is not None:
                self.missing[str(one.verdict.missing)] += 1
            self._window.append((now_s, one.latency_ms))
        room = LATENCIES_MAX - len(self.latencies_ms)
        self.latencies_ms.extend(one.latency_ms for one in islice(seen, room))
        self._seconds[int(now_s)] += len(seen)
        self._batches.append((now_s, len(seen)))
        self._recent.extend(seen)

    def dead_letter(self, reason: str) -> None:
        """Count a dead letter."""
        self.rejected[reason] += 1

    def lag(self, records: int) -> None:
        """Note how many posts nobody has answered yet."""
        self._lags.append(records)

    @property
    def answered(self) -> int:
        """Verdicts and dead letters."""
        return self.labels.total() + self.unlabelled + self.rejected.total()

    def snapshot(self, now_s: float) -> Snapshot:
        """Give the figures of this moment; latency is that of the last ten seconds."""
        window = [ms for at, ms in self._window if at > now_s - WINDOW_S]
        return Snapshot(
            verdicts=self.answered - self.rejected.total(),
            per_second=sum(n for at, n in self._batches if at > now_s - RATE_S) / RATE_S,
            rates=self._rates(now_s),
            lag=self._lags[-1] if self._lags else None,
            lags=tuple(self._lags),
            labels=dict(self.labels),
            unlabelled=self.unlabelled,
            missing=dict(self.missing),
            rejected=dict(self.rejected),
            latency=percentiles(window),
            recent=tuple(self._recent),
        )

    def _rates(self, now_s: float) -> Sequence[int]:
        if not self._seconds:
            return ()
        # The second that is running is not complete: it would look like a drop.
        first = max(min(self._seconds), int(now_s) - 60)
        return tuple(self._seconds[second] for second in range(first, int(now_s)))


def percentiles(latencies_ms: Sequence[int]) -> Latency | None:
    """Give the nearest-rank percentiles; None where nothing was measured."""
    if not latencies_ms:
        return None
    ordered = sorted(latencies_ms)
    return Latency(_rank(ordered, 50), _rank(ordered, 99))


def _rank(ordered: Sequence[int], percent: int) -> int:
    # Nearest rank: the smallest value that at least so many percent do not exceed.
    return ordered[max(0, -(-percent * len(ordered) // 100) - 1)]
