"""What a worker shows of itself: every metric, declared once, with labels from bounded sets."""

import platform
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Final, Literal, get_args

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from features.images import ImageProblem
from schemas.manifest import Manifest
from worker.images.cache import Found
from worker.images.sources import Answer, Postponed, Unchanged, Versioned
from worker.messages import Outcome, Partition

_STAGE_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
_BATCH_RECORDS: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_TO_VERDICT_S: Final = (
    *(0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1, 2, 5, 10, 30, 60, 300, 3600),
)
_TRANSACTION_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_FETCH_S: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_CONFIDENCE: Final = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)


Change = Literal["gained", "revoked", "lost"]
"""How a partition can change hands, as this worker sees it."""

Step = Literal["decode", "fetch", "features", "inference", "trial"]
"""What a batch goes through that may raise; `trial` is all of it, in a child."""


Waited = Literal["healed", "again", "lasting", "out-of-tries", "out-of-time", "out-of-room"]
"""How a wait for another try at an image ended; one that ran out of room ended without a try."""


class BatchHistogram(Histogram):
    """A histogram that takes a batch at once: one search for all instead of a loop for each."""

    def observe_many(self, values: Sequence[float]) -> None:
        """Count each of `values`, in the histogram's unit."""
        if not values:
            return
        buckets = np.bincount(np.searchsorted(self._upper_bounds, values))
        for bucket in np.flatnonzero(buckets):
            self._buckets[bucket].inc(float(buckets[bucket]))
        self._sum.inc(float(sum(values)))


class Metrics:
    """The metrics of one worker, in a registry of its own. Any thread may tell it things."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._declare_posts(registry)
        self._declare_work(registry)
        self._declare_images(registry)
        self._declare_membership(registry)
        self._stages: dict[str, tuple[BatchHistogram, Histogram]] = {}
        Info("tuwen_build", "The program.", registry=registry).info(
            {"version": version("tuwen"), "python": platform.python_version()}
        )

    def _declare_posts(self, registry: CollectorRegistry) -> None:
        self._posts = Counter(
            "tuwen_posts", "Source records that came to an end.", ["outcome"], registry=registry
        )
        self._rejects = Counter("tuwen_rejects", "Dead letters.", ["reason"], registry=registry)
        self._missing = Counter(
            "tuwen_missing", "Verdicts without one modality.", ["reason"], registry=registry
        )
        self._labels = Counter("tuwen_labels", "Verdicts.", ["label"], registry=registry)
        self._abstentions = Counter(
            "tuwen_abstentions",
            "Verdicts without a label: no score reached abstain_below.",
            registry=registry,
        )
        self._confidence = BatchHistogram(
            "tuwen_confidence",
            "The highest score of each verdict.",
            buckets=_CONFIDENCE,
            registry=registry,
        )
        self._to_verdict = BatchHistogram(
            "tuwen_post_to_verdict_seconds",
            "From the post's timestamp to its verdict's commit.",
            buckets=_TO_VERDICT_S,
            registry=registry,
        )
        self._verdicts = self._posts.labels("verdict")
        self._dead_letters = self._posts.labels("dead-letter")

    def _declare_work(self, registry: CollectorRegistry) -> None:
        self._stage_seconds = BatchHistogram(
            "tuwen_stage_seconds",
            "Time of one batch in one stage.",
            ["stage"],
            buckets=_STAGE_S,
            registry=registry,
        )
        self._batch_records = Histogram(
            "tuwen_batch_records",
            "Records of one batch in one stage.",
            ["stage"],
            buckets=_BATCH_RECORDS,
            registry=registry,
        )
        self._queues = Gauge(
            "tuwen_queue_depth", "Records that wait before a stage.", ["queue"], registry=registry
        )
        self._transactions = Counter(
            "tuwen_transactions", "Transactions that ended.", ["outcome"], registry=registry
        )
        self._transaction_seconds = Histogram(
            "tuwen_transaction_seconds",
            "Time of one transaction.",
            buckets=_TRANSACTION_S,
            registry=registry,
        )

        self._held_up = Gauge(
            "tuwen_step_held_up",
            "1 while a fault of the machine or the model holds a step up.",
            ["step"],
            registry=registry,
        )
        self._faults = Counter(
            "tuwen_step_faults",
            "Tries of a step that a fault of the machine or the model brought to nothing.",
            ["step"],
            registry=registry,
        )
        for step in get_args(Step):
            self.held_up(step, held=False)
        trials = Counter(
            "tuwen_trials",
            "Posts that workers may have died of, and were tried in a child.",
            ["outcome"],
            registry=registry,
        )
        self._trials_passed = trials.labels("passed")
        self._trials_convicted = trials.labels("poison")
        self._decoders_ended = Counter(
            "tuwen_decoder_restarts",
            "Decoder children that ended and were replaced.",
            ["why"],
            registry=registry,
        )

    def _declare_images(self, registry: CollectorRegistry) -> None:
        self._image_fetches = Counter(
            "tuwen_image_fetches",
            "Images that were asked for: fetched, unchanged, postponed, or the reason why not.",
            ["scheme", "outcome"],
            registry=registry,
        )
        self._image_bytes = Counter(
            "tuwen_image_bytes", "Bytes of images fetched.", ["scheme"], registry=registry
        )
        self._image_fetch_seconds = BatchHistogram(
            "tuwen_image_fetch_seconds",
            "Time of one fetch over the network, from its turn to its end.",
            ["scheme"],
            buckets=_FETCH_S,
            registry=registry,
        )
        self._image_cache_asked = Counter(
            "tuwen_image_cache_posts",
            "Posts with an image: seen before (hit), fetched for another (shared), or neither.",
            ["found"],
            registry=registry,
        )
        for found in get_args(Found):
            self._image_cache_asked.labels(found)
        self._image_cache_evictions = Counter(
            "tuwen_image_cache_evictions",
            "Pictures that the cache dropped to make room.",
            registry=registry,
        )
        self._image_cache_bytes = Gauge(
            "tuwen_image_cache_bytes", "Bytes that the cache of images takes.", registry=registry
        )
        self._hosts_left_alone = Gauge(
            "tuwen_image_hosts_left_alone",
            "Image hosts that are not asked now: they failed, or told to wait.",
            registry=registry,
        )

        self._waits = Counter(
            "tuwen_image_retries",
            "Posts that waited until their image was asked for again, by what came of it.",
            ["outcome"],
            registry=registry,
        )
        for outcome in get_args(Waited):
            self._waits.labels(outcome)

    def _declare_membership(self, registry: CollectorRegistry) -> None:
        self._lag = Gauge(
            "tuwen_lag_records",
            "Records of the log that are not yet committed.",
            ["topic", "partition"],
            registry=registry,
        )
        self._uncommitted_s = Gauge(
            "tuwen_uncommitted_seconds",
            "Since the last commit of a partition that has lag; 0 without lag.",
            ["topic", "partition"],
            registry=registry,
        )
        self._stable_stuck_s = Gauge(
            "tuwen_stable_offset_stuck_seconds",
            "How long an open transaction has hidden what is behind it; 0 where nothing is.",
            ["topic", "partition"],
            registry=registry,
        )
        self._stopped = Gauge(
            "tuwen_partition_stopped",
            "1 for a partition that cannot be read on.",
            ["topic", "partition"],
            registry=registry,
        )
        self._deleted_unread = Counter(
            "tuwen_deleted_unread", "Records left out, since they were deleted.", registry=registry
        )
        self._rebalances = Counter(
            "tuwen_rebalances", "Changes of ownership.", ["kind"], registry=registry
        )
        self._moved = Counter(
            "tuwen_partitions_moved",
            "Partitions that changed owner.",
            ["kind"],
            registry=registry,
        )
        self._assigned = Gauge(
            "tuwen_partitions_assigned", "Partitions owned now.", registry=registry
        )
        self._model = Info("tuwen_model", "The bundle that labels.", registry=registry)

    def outcomes(self, outcomes: Sequence[Outcome], now_ms: int) -> None:
        """Tell what posts came to, once it is committed; `now_ms` is since the epoch, UTC."""
        verdicts = [outcome for outcome in outcomes if outcome.confidence is not None]
        self._verdicts.inc(len(verdicts))
        self._dead_letters.inc(len(outcomes) - len(verdicts))
        self._abstentions.inc(_add(self._labels, (verdict.label for verdict in verdicts)))
        _add(self._missing, (verdict.reason for verdict in verdicts))
        if len(verdicts) < len(outcomes):
            _add(self._rejects, (reject.reason for reject in outcomes if reject.confidence is None))
        self._confidence.observe_many([verdict.confidence or 0.0 for verdict in verdicts])
        # A producer's clock may be ahead of ours: no verdict comes before its post.
        self._to_verdict.observe_many(
            [max(0, now_ms - verdict.source.timestamp_ms) / 1000 for verdict in verdicts]
        )

    def stage(self, name: str, seconds: float, records: int) -> None:
        """Tell that a batch of `records` took `seconds` in the stage `name`."""
        if name not in self._stages:
            self._stages[name] = (
                self._stage_seconds.labels(name),
                self._batch_records.labels(name),
            )
        stage_seconds, batch_records = self._stages[name]
        stage_seconds.observe(seconds)
        batch_records.observe(records)

    def images_fetched(self, scheme: str, answers: Sequence[Answer]) -> None:
        """Tell what a batch of references came to; `scheme` is one of those that there are."""
        for outcome, count in Tally(map(_fetch_outcome, answers)).items():
            self._image_fetches.labels(scheme, outcome).inc(count)
        size = sum(map(_size, answers))
        if size:
            self._image_bytes.labels(scheme).inc(size)

    def fetches_took(self, scheme: str, seconds: Sequence[float]) -> None:
        """Tell how long fetches over the network took, whatever they brought."""
        self._image_fetch_seconds.labels(scheme).observe_many(seconds)

    def image_cache_asked(self, found: Found, posts: int) -> None:
        """Tell of how many posts the image was found so."""
        self._image_cache_asked.labels(found).inc(posts)

    def image_cache_holds(self, held_bytes: int, evicted: int) -> None:
        """Tell how full the cache is, and how many pictures it has just dropped for room."""
        self._image_cache_bytes.set(held_bytes)
        if evicted:
            self._image_cache_evictions.inc(evicted)

    def hosts_left_alone(self, hosts: int) -> None:
        """Tell how many image hosts are not asked now."""
        self._hosts_left_alone.set(hosts)

    def waits_ended(self, waits: Mapping[Waited, int]) -> None:
        """Tell how many posts waited for another try at their image, and what came of it."""
        for outcome, count in waits.items():
            self._waits.labels(outcome).inc(count)

    def queue(self, name: str, depth: int) -> None:
        """Tell how many records wait in the queue `name`."""
        self._queues.labels(name).set(depth)

    def lag(
        self, partition: Partition, records: int, uncommitted_s: float, stable_stuck_s: float
    ) -> None:
        """Tell how far behind the end of its log a partition is, and since when it stands still."""
        labels = (partition.topic, str(partition.number))
        self._lag.labels(*labels).set(records)
        self._uncommitted_s.labels(*labels).set(uncommitted_s)
        self._stable_stuck_s.labels(*labels).set(stable_stuck_s)

    def forget(self, partition: Partition) -> None:
        """Stop showing a partition that is not owned any more."""
        for gauge in (self._lag, self._uncommitted_s, self._stable_stuck_s, self._stopped):
            gauge.remove(partition.topic, str(partition.number))

    def stopped(self, partition: Partition) -> None:
        """Tell that a partition cannot be read on."""
        self._stopped.labels(partition.topic, str(partition.number)).set(1)

    def deleted_unread(self, records: int) -> None:
        """Tell that records are left out which the log lost before they were read."""
        self._deleted_unread.inc(records)

    def transaction(
        self, outcome: Literal["committed", "aborted", "in-doubt"], seconds: float
    ) -> None:
        """Tell how a transaction ended, and how long it took."""
        self._transactions.labels(outcome).inc()
        self._transaction_seconds.observe(seconds)

    def held_up(self, step: Step, *, held: bool) -> None:
        """Tell whether a fault holds a step up now."""
        self._held_up.labels(step).set(held)

    def fault(self, step: Step) -> None:
        """Tell that a step was tried, and will be again: no post is to blame."""
        self._faults.labels(step).inc()

    def decoder_endings(self, endings: Iterable[str]) -> None:
        """Show all endings of a decoder child at 0: what first appears as 1 is no increase."""
        for why in endings:
            self._decoders_ended.labels(why)

    def decoder_ended(self, why: str) -> None:
        """Tell that a decoder child was replaced; `why` is a `decoder_child.child.Ending`."""
        self._decoders_ended.labels(why).inc()

    def tried(self, *, passed: int, convicted: int) -> None:
        """Tell what posts came to that were tried in a child."""
        self._trials_passed.inc(passed)
        self._trials_convicted.inc(convicted)

    def rebalance(self, kind: Change, partitions: int) -> None:
        """Tell that `partitions` changed owner."""
        self._rebalances.labels(kind).inc()
        self._moved.labels(kind).inc(partitions)

    def assigned(self, partitions: int) -> None:
        """Tell how many partitions are owned now."""
        self._assigned.set(partitions)

    def model(self, manifest: Manifest) -> None:
        """Tell which bundle labels."""
        self._model.info(
            {
                "name": manifest.name,
                "version": manifest.version,
                "strategy": manifest.strategy,
            }
        )


def _fetch_outcome(answer: Answer) -> str:
    match answer:
        case ImageProblem(reason, _):
            return reason
        case Unchanged():
            return "unchanged"
        case Postponed():
            return "postponed"
        case bytes() | Versioned():
            return "fetched"


def _size(answer: Answer) -> int:
    content = answer.content if isinstance(answer, Versioned) else answer
    return len(content) if isinstance(content, bytes) else 0


def _add(counter: Counter, labels: Iterable[str | None]) -> int:
    """Count each label, one increment for all of the same; gives how many were None."""
    counts = Tally(labels)
    unlabelled = counts.pop(None, 0)
    for label, count in counts.items():
        counter.labels(label).inc(count)
    return unlabelled
