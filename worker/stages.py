"""Do the stages' work on one batch: records to posts with features, those to outcomes.

What raises goes through `worker.endurance`: a post that is to blame is rejected alone, and a fault
of the machine or the model is waited out. The threads between, and all bounds, are the pipeline's.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from typing import Any, TypeVar

from inference.classifier import Classifier, Features
from schemas.reasons import Reason
from schemas.verdict import Modality
from worker.decode import decode
from worker.endurance import Endurance
from worker.fetch import Fetcher
from worker.images.cache import ImageCache, Seen
from worker.messages import Fetched, Later, Outcome, Read, Record, Reject
from worker.metrics import Metrics, Step
from worker.poison import Passed, Poison, Work
from worker.probe import probe_of
from worker.publish import Publisher
from worker.retries import NONE_DUE, Due, Retries

Given = TypeVar("Given", Record, Read)
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch between the prepare and the infer thread: posts with features, and the rejects.

    It is in several parts only where a post was to blame for what was raised.
    """

    parts: Sequence[Passed[Fetched, Features]]
    rejects: Sequence[Reject]


class Stages:
    """The work of one worker; `prepare` and `outcomes` may run on different threads."""

    def __init__(
        self,
        classifier: Classifier,
        fetcher: Fetcher,
        publisher: Publisher,
        metrics: Metrics,
        endurance: Endurance,
        retries: Retries,
        cache: ImageCache,
    ) -> None:
        self._classifier = classifier
        self._fetcher = fetcher
        self._publisher = publisher
        self._metrics = metrics
        self._endurance = endurance
        self._retries = retries
        self._cache = cache
        self._probe = probe_of(classifier.manifest)

    def prepare(self, records: Sequence[Record], due: Due = NONE_DUE) -> Prepared:
        """Decode, fetch, and make features; of `due` only the image is missing."""
        rejects: list[Reject] = []
        reads = self._each("decode", records, _decode, self._probe.record, rejects)
        posts = self._images(reads, due, rejects)
        made = self._endurance.through("features", posts, self._features, self._probe.fetched)
        rejects += (_poisoned(each, each.item.record, "features") for each in made.poison)
        return Prepared(made.passed, rejects)

    def outcomes(self, prepared: Prepared) -> list[Outcome]:
        """Label, and give each record of the batch its verdict or its dead letter."""
        rejects = list(prepared.rejects)
        outcomes: list[Outcome] = []
        for part in prepared.parts:
            work = partial(self._verdicts, part)
            done = self._endurance.through("inference", part.items, work, self._probe.fetched)
            outcomes += chain.from_iterable(labelled.result for labelled in done.passed)
            rejects += (_poisoned(each, each.item.record, "inference") for each in done.poison)
        outcomes += map(self._publisher.dead_letter, rejects)
        return outcomes

    def _each(
        self,
        step: Step,
        batch: Sequence[Given],
        work: Work[Given, Sequence[Made | Reject]],
        probe: Given,
        rejects: list[Reject],
    ) -> list[Made]:
        """Have `work` done on each, and part what it gives from its rejects and the poison."""
        done = self._endurance.through(step, batch, work, probe)
        given = [each for part in done.passed for each in part.result]
        rejects += (each for each in given if isinstance(each, Reject))
        rejects += (_poisoned(each, _record(each.item), step) for each in done.poison)
        return [each for each in given if not isinstance(each, Reject)]

    def _images(self, reads: Sequence[Read], due: Due, rejects: list[Reject]) -> list[Fetched]:
        """Fetch the images of all that do not wait for theirs."""
        began_s = time.monotonic()
        reads = [*reads, *(each.later.read for each in due.again)]
        answers: list[Fetched | Later] = self._each(
            "fetch", reads, self._fetch, self._probe.read, rejects
        )
        settled = self._retries.settled(answers, due, began_s)
        rejects += (each for each in settled if isinstance(each, Reject))
        return [each for each in settled if isinstance(each, Fetched)]

    def _fetch(self, reads: Sequence[Read]) -> list[Fetched | Reject | Later]:
        with _Timed(self._metrics, "fetch", len(reads)):
            return self._fetcher.fetch(reads)

    def _features(self, posts: Sequence[Fetched]) -> Features:
        with _Timed(self._metrics, "features", len(posts)):
            return self._classifier.features(
                [p.post.text if p.post.has_text else None for p in posts],
                [p.pixels for p in posts],
                [p.seen for p in posts],
            )

    def _features_of(self, part: Passed[Fetched, Features], posts: Sequence[Fetched]) -> Features:
        """Take what was made of a part: cutting words costs more than most models do."""
        if posts is part.items:
            return part.result
        if posts[0] is self._probe.fetched:
            return self._features_of_probe
        rows = {id(post): row for row, post in enumerate(part.items)}
        return part.result.only([rows[id(post)] for post in posts])

    @cached_property
    def _features_of_probe(self) -> Features:
        """Made once: the work on them is what is tried."""
        return self._features([self._probe.fetched])

    def _verdicts(
        self, part: Passed[Fetched, Features], posts: Sequence[Fetched]
    ) -> Sequence[Outcome]:
        """Label posts of a part."""
        if not posts:
            return ()
        features = self._features_of(part, posts)
        with _Timed(self._metrics, "inference", len(posts)):
            scores = self._classifier.scores(features)
            self._keep(posts, scores.pictures)
        with _Timed(self._metrics, "publish", len(posts)):
            return list(
                map(
                    self._publisher.verdict,
                    posts,
                    scores.scores,
                    map(self._used, scores.present.tolist()),
                    [post.missing for post in posts],
                )
            )

    def _keep(self, posts: Sequence[Fetched], seen: Sequence[tuple[int, Seen]]) -> None:
        """Let the cache have what the CNN has just seen, of images that may be kept."""
        found = [(posts[row].key, posts[row].pixels, vector) for row, vector in seen]
        self._cache.fill(
            [
                (key, pixels, vector)
                for key, pixels, vector in found
                if key is not None and pixels is not None
            ]
        )

    def _used(self, present: Sequence[bool]) -> tuple[Modality, ...]:
        modalities = self._classifier.manifest.modalities
        return tuple(m for m, there in zip(modalities, present, strict=True) if there)


def _decode(records: Sequence[Record]) -> list[Read | Reject]:
    return [decode(record) for record in records]


def _record(given: Record | Read) -> Record:
    return given.record if isinstance(given, Read) else given


def _poisoned(poison: Poison[Any], record: Record, step: Step) -> Reject:
    """Reject what raises by itself; what it raises is named, and not what that says."""
    return Reject(record, Reason.POISON, f"raises {poison.error}, by itself and again", step)


class _Timed:
    """Tells the metrics how long a stage took for how many records."""

    def __init__(self, metrics: Metrics, stage: str, records: int) -> None:
        self._metrics, self._stage, self._records = metrics, stage, records

    def __enter__(self) -> None:
        self._started_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._metrics.stage(self._stage, time.perf_counter() - self._started_s, self._records)
