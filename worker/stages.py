"""Do the stages' work on one batch: records to posts with features, those to outcomes.

What raises goes through `worker.endurance`: a post that is to blame is rejected alone, and a fault
of the machine or the model is waited out. The threads between, and all bounds, are the pipeline's.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

from inference.classifier import Classifier, Features
from schemas.reasons import Reason
from schemas.verdict import Modality
from worker.decode import decode
from worker.endurance import Endurance
from worker.fetch import Fetcher
from worker.images.cache import ImageCache, Seen
from worker.messages import Fetched, Later, Outcome, Read, Record, Reject
from worker.metrics import Metrics, Step
from worker.poison import Passed, Poison, Sifted, Work
from worker.probe import probe_of
from worker.publish import Publisher
from worker.retries import NONE_DUE, Due, Retries

Given = TypeVar("Given", Record, Read)
Made = TypeVar("Made")

PROBE_ROW: Final = -1
"""The row of the worker's own post beside those of a batch."""


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
        self._probes: dict[tuple[bool, bool], Passed[Fetched, Features]] = {}

    def prepare(self, records: Sequence[Record], due: Due = NONE_DUE) -> Prepared:
        """Decode, fetch, and make features; of `due` only the image is missing."""
        rejects: list[Reject] = []
        reads = self._each("decode", records, _decode, self._probe.record, rejects)
        posts = self._images(reads, due, rejects)
        with self._told("features", len(posts)) as spent:
            work = partial(self._features, spent)
            made = self._endurance.through("features", posts, work, self._probe.fetched)
        rejects += (_poisoned(each, each.item.record, "features") for each in made.poison)
        return Prepared(made.passed, rejects)

    def outcomes(self, prepared: Prepared) -> list[Outcome]:
        """Label, and give each record of the batch its verdict or its dead letter."""
        rejects = list(prepared.rejects)
        outcomes: list[Outcome] = []
        for part in prepared.parts:
            done = self._labelled(part)
            outcomes += chain.from_iterable(labelled.result for labelled in done.passed)
            guilty = ((each, part.items[each.item].record) for each in done.poison)
            rejects += (_poisoned(each, record, "inference") for each, record in guilty)
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
        answers: list[Fetched | Later]
        with self._told("fetch", len(reads)) as spent:
            work = partial(self._fetch, spent)
            answers = self._each("fetch", reads, work, self._probe.read, rejects)
        settled = self._retries.settled(answers, due, began_s)
        rejects += (each for each in settled if isinstance(each, Reject))
        return [each for each in settled if isinstance(each, Fetched)]

    def _fetch(self, spent: "_Spent", reads: Sequence[Read]) -> list[Fetched | Reject | Later]:
        with spent:
            return self._fetcher.fetch(reads)

    def _features(self, spent: "_Spent", posts: Sequence[Fetched]) -> Features:
        with spent:
            return self._features_of(posts)

    def _features_of(self, posts: Sequence[Fetched]) -> Features:
        return self._classifier.features(
            [p.post.text if p.post.has_text else None for p in posts],
            [p.pixels for p in posts],
            [p.seen for p in posts],
        )

    def _labelled(self, part: Passed[Fetched, Features]) -> Sifted[int, Sequence[Outcome]]:
        """Label the posts of a part; its items are their rows."""
        rows = range(len(part.items))
        with (
            self._told("inference", len(rows)) as inference,
            self._told("publish", len(rows)) as publish,
        ):
            work = partial(self._verdicts, part, inference, publish)
            return self._endurance.through("inference", rows, work, PROBE_ROW)

    def _verdicts(
        self,
        part: Passed[Fetched, Features],
        inference: "_Spent",
        publish: "_Spent",
        rows: Sequence[int],
    ) -> Sequence[Outcome]:
        """Label the posts of rows that stand together, or the probe in their place."""
        if not rows:
            return ()
        chosen = self._probe_like(part) if rows[0] == PROBE_ROW else _chosen(part, rows)
        posts = chosen.items
        with inference:
            scores = self._classifier.scores(chosen.result)
            self._keep(posts, scores.pictures)
        with publish:
            return list(
                map(
                    self._publisher.verdict,
                    posts,
                    scores.scores,
                    map(self._used, scores.present.tolist()),
                    [post.missing for post in posts],
                )
            )

    def _probe_like(self, part: Passed[Fetched, Features]) -> Passed[Fetched, Features]:
        """Give the probe with what posts of a part have, so that it takes the way that they take.

        Its features are made once: the work on them is what is tried.
        """
        text = any(each.post.has_text for each in part.items)
        image = any(each.pixels is not None or each.seen is not None for each in part.items)
        if (text, image) not in self._probes:
            probe = self._probe.with_only(text=text, image=image)
            self._probes[text, image] = Passed([probe], self._features_of([probe]))
        return self._probes[text, image]

    @contextmanager
    def _told(self, stage: str, records: int) -> Iterator["_Spent"]:
        """Tell the metrics what a batch costs in a stage, once, however often it is tried."""
        spent = _Spent()
        yield spent
        if records:
            self._metrics.stage(stage, spent.seconds, records)

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


def _chosen(part: Passed[Fetched, Features], rows: Sequence[int]) -> Passed[Fetched, Features]:
    """Take what was made of a part: cutting words costs more than most models do."""
    start, stop = rows[0], rows[-1] + 1
    if stop - start == len(part.items):
        # Mostly nothing raises: no picture is copied.
        return part
    return Passed(part.items[start:stop], part.result.between(start, stop))


class _Spent:
    """Adds up the time of a batch in a stage, which may do parts of it, one by one or again."""

    seconds = 0.0

    def __enter__(self) -> None:
        self._began_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self._began_s
