"""The pipeline on an in-memory cluster, with image hosts that fail for a while."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from features.images import ImageProblem
from schemas.reasons import Reason
from tests.unit.worker.bench import Bench, NoImages, eventually
from worker import retries
from worker.images.sources import NOTHING_KNOWN, Answer, Known


class Busy(NoImages):
    """A host that fails so often for each image before it answers; it notes how often."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.asked: Counter[str] = Counter()

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Fail, or give the image."""
        self.asked.update(references)
        return [self._answer(reference) for reference in references]

    def decode(self, images: Sequence[bytes]) -> list[Any]:
        """Every image is well."""
        return [np.zeros((2, 2, 3), np.uint8)] * len(images)

    def _answer(self, reference: str) -> Answer:
        if self.asked[reference] > self.failures:
            return b"image"
        return ImageProblem(Reason.IMAGE_HOST_UNAVAILABLE, "it answered 503")


class OneBusy(Busy):
    """Two hosts, of which one never answers; it notes which batches ask for images again."""

    def __init__(self) -> None:
        super().__init__(10**6)
        self.batches: list[str] = []

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Note whether anything of the batch was asked for before."""
        again = any(self.asked[reference] for reference in references)
        self.batches.append("again" if again else "fresh")
        return super().fetch(references, known)

    def _answer(self, reference: str) -> Answer:
        return super()._answer(reference) if "busy" in reference else b"image"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of tens of milliseconds."""
    monkeypatch.setattr(retries, "PAUSE_FIRST_S", 0.05)


def test_a_host_that_fails_for_a_moment_costs_no_image(bench: Bench) -> None:
    """The image is asked for again, and the verdict is made from both."""
    host = bench.source = bench.decoder = Busy(2)
    bench.post(0, image="https://a/1.jpg")
    bench.start()
    eventually(lambda: len(bench.verdicts()) == 1)
    assert (bench.verdicts()[0].used, bench.verdicts()[0].missing) == (("text", "image"), None)
    assert host.asked == {"https://a/1.jpg": 3}


def test_a_post_that_waits_holds_up_its_own_partition_alone(bench: Bench) -> None:
    """The other's verdicts come meanwhile; its own come behind it, in the order of the log."""
    bench.source = Busy(10**6)
    bench.post(0, image="https://a/1.jpg")
    for number in range(1, 50):
        bench.post(number)
    bench.start(image_tries_max=100, image_retry_age_s=1.0)
    eventually(lambda: len(bench.verdicts()) == 25)
    assert {partition for partition, _ in bench.sources()} == {1}
    eventually(lambda: len(bench.verdicts()) == 50)
    assert [offset for partition, offset in bench.sources() if partition == 0] == list(range(25))
    first = next(verdict for verdict in bench.verdicts() if verdict.id == "0")
    assert (first.used, first.missing) == (("text",), Reason.IMAGE_HOST_UNAVAILABLE)


def test_posts_that_wait_do_not_stop_the_reading(bench: Bench) -> None:
    """Of what may be in flight they get a quarter, then they wait no longer."""
    bench.source = Busy(10**6)
    for number in range(0, 100, 2):
        bench.post(number, image=f"https://a/{number}.jpg")
    for number in range(1, 100, 2):
        bench.post(number)
    bench.start(
        image_tries_max=100,
        image_retry_age_s=3600,
        in_flight_records_max=8,
        poll_records_max=4,
        batch_records_max=4,
    )
    eventually(lambda: len({offset for number, offset in bench.sources() if number == 1}) == 50)
    assert max(bench.classifier.batches) <= 4


def test_between_two_batches_at_most_one_asks_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many posts are due, those of others wait for one fetch of theirs at a time."""
    monkeypatch.setattr(retries, "PAUSE_MAX_S", 0.0)
    host = bench.source = bench.decoder = OneBusy()
    for number in range(0, 96, 2):  # of one partition, which comes in one poll
        bench.post(number, image=f"https://{'busy' if number < 16 else 'well'}/{number}.jpg")
    bench.start(batch_records_max=2, image_tries_max=100, image_retry_age_s=3600)
    eventually(lambda: host.batches.count("fresh") == 24)
    until = len(host.batches) - host.batches[::-1].index("fresh")
    pairs = set(pairwise(host.batches[:until]))
    assert pairs - {("again", "again")} == pairs >= {("again", "fresh"), ("fresh", "again")}


def test_a_post_without_text_is_a_dead_letter_once_its_tries_are_used_up(bench: Bench) -> None:
    """Nothing is left to label; the letter says why."""
    host = bench.source = Busy(10**6)
    bench.post(0, text="", image="https://a/1.jpg")
    bench.start(image_tries_max=2)
    eventually(lambda: len(bench.letters()) == 1)
    [(_, failure)] = bench.letters()
    assert failure.reason == Reason.IMAGE_HOST_UNAVAILABLE
    assert host.asked == {"https://a/1.jpg": 2}


def test_who_takes_over_a_partition_tries_anew(bench: Bench) -> None:
    """A post that waited has one verdict, of its new owner, and none is lost or doubled."""
    host = bench.source = Busy(10**6)
    for number in range(20):
        bench.post(number, image=f"https://a/{number}.jpg")
    first, stop = bench.start(0, image_tries_max=100, image_retry_age_s=3600)
    eventually(lambda: all(host.asked[f"https://a/{n}.jpg"] > 1 for n in range(20)))
    assert (first.in_flight, bench.verdicts()) == (20, [])
    stop.set()
    bench.source = bench.decoder = Busy(0)
    bench.start(1)
    eventually(lambda: len(bench.verdicts()) == 20)
    assert sorted(bench.sources()) == [(p, offset) for p in (0, 1) for offset in range(10)]
    assert {verdict.missing for verdict in bench.verdicts()} == {None}
