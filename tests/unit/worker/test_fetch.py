"""What a post without a usable image is worth."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from features.images import ImageProblem
from schemas.post import Post
from schemas.reasons import Reason
from schemas.verdict import Modality
from worker.fetch import Fetcher
from worker.image_failures import BY_DEFAULT, ImageFailures, image_failures
from worker.images.sources import NOTHING_KNOWN, Answer, Known
from worker.messages import Fetched, Later, Partition, Read, Record, Reject

GOOD, DAMAGED, ABSENT = "file:good.jpg", "file:damaged.jpg", "file:absent.jpg"
BUSY, DEAD = "https://busy/1.jpg", "https://dead/1.jpg"
PIXELS = np.zeros((2, 2, 3), np.uint8)
DEGRADE = ImageFailures("degrade", {})


class Shelf:
    """An image source with two images, one of them damaged; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Give what is there."""
        self.asked += references
        gone = ImageProblem(Reason.IMAGE_NOT_FOUND, "no such file")
        busy = ImageProblem(Reason.IMAGE_HOST_UNAVAILABLE, "it answered 503", again_s=2)
        dead = ImageProblem(Reason.IMAGE_HOST_UNAVAILABLE, "left alone", again_s=math.inf)
        problems = {ABSENT: gone, BUSY: busy, DEAD: dead}
        return [problems.get(each, each.encode()) for each in references]


class Lens:
    """A decoder that sees one of the two."""

    def decode(self, images: Sequence[bytes]) -> list[NDArray[np.uint8] | ImageProblem]:
        """Give pixels of the good one."""
        damaged = ImageProblem(Reason.IMAGE_DAMAGED, "ends too early")
        return [damaged if image == DAMAGED.encode() else PIXELS for image in images]


def fetched(
    text: str | None,
    image: str | None,
    modalities: tuple[Modality, ...] = ("text", "image"),
    on_image_failure: str = "degrade",
) -> Fetched | Reject:
    """What becomes of one post."""
    read = Read(Record(Partition("posts", 0), 0, None, b"", (), 0), Post("1", text, image))
    failures = image_failures(on_image_failure)
    (answer,) = Fetcher(Shelf(), Lens(), modalities, failures).fetch([read])
    assert not isinstance(answer, Later)
    return answer


@pytest.mark.parametrize(
    ("text", "image", "has_pixels", "missing"),
    [
        ("好", GOOD, True, None),
        ("好", None, False, Reason.NO_IMAGE),
        ("好", "", False, Reason.NO_IMAGE),
        (None, GOOD, True, Reason.NO_TEXT),
        (" ", GOOD, True, Reason.NO_TEXT),
        ("好", DAMAGED, False, Reason.IMAGE_DAMAGED),
        ("好", ABSENT, False, Reason.IMAGE_NOT_FOUND),
    ],
)
def test_a_post_goes_on_with_what_it_has(
    text: str | None, image: str | None, has_pixels: bool, missing: Reason | None
) -> None:
    """By default one modality is enough, and the verdict will say which was missing."""
    post = fetched(text, image)
    assert isinstance(post, Fetched)
    assert (post.pixels is not None, post.missing) == (has_pixels, missing)


@pytest.mark.parametrize(
    ("image", "reason"), [(DAMAGED, Reason.IMAGE_DAMAGED), (ABSENT, Reason.IMAGE_NOT_FOUND)]
)
@pytest.mark.parametrize(
    ("text", "on_image_failure"),
    [
        (None, "degrade"),
        ("好", "dead-letter"),
        (None, "dead-letter"),
        ("好", "degrade,image-damaged=dead-letter,image-not-found=dead-letter"),
    ],
)
def test_a_post_is_rejected_when_the_image_was_needed(
    text: str | None, on_image_failure: str, image: str, reason: Reason
) -> None:
    """Without a text, or where the settings say so, the image's reason is the post's."""
    post = fetched(text, image, on_image_failure=on_image_failure)
    assert isinstance(post, Reject)
    assert post.reason == reason


def test_a_reason_goes_its_own_way() -> None:
    """What is set for one reason leaves the others as they are."""
    setting = "dead-letter,image-not-found=degrade"
    absent = fetched("好", ABSENT, on_image_failure=setting)
    assert isinstance(absent, Fetched)
    assert absent.missing == Reason.IMAGE_NOT_FOUND
    assert isinstance(fetched("好", DAMAGED, on_image_failure=setting), Reject)


@pytest.mark.parametrize(("text", "settled"), [("好", Fetched), (None, Reject)])
def test_an_image_that_may_be_had_later_lets_its_post_wait(
    text: str | None, settled: type[Fetched | Reject]
) -> None:
    """It says when, and what the post comes to if nobody asks again."""
    read = Read(Record(Partition("posts", 0), 0, None, b"", (), 0), Post("1", text, BUSY))
    (later,) = Fetcher(Shelf(), Lens(), ("text", "image"), BY_DEFAULT).fetch([read])
    assert isinstance(later, Later)
    assert (later.read, later.again_s, type(later.otherwise)) == (read, 2, settled)


@pytest.mark.parametrize(
    ("image", "on_image_failure"),
    [(DEAD, "image-host-unavailable=retry"), (BUSY, "degrade"), (ABSENT, "image-damaged=degrade")],
)
def test_what_no_retry_heals_is_settled_at_once(image: str, on_image_failure: str) -> None:
    """A host that is left alone is not asked while a post waits; a plain action never waits."""
    assert isinstance(fetched("好", image, on_image_failure=on_image_failure), Fetched)


def test_a_model_of_texts_fetches_no_image() -> None:
    """What the model cannot use costs nothing, and is called unused, not missing."""
    shelf = Shelf()
    read = Read(Record(Partition("posts", 0), 0, None, b"", (), 0), Post("1", "好", GOOD))
    (post,) = Fetcher(shelf, Lens(), ("text",), DEGRADE).fetch([read])
    assert isinstance(post, Fetched)
    assert (shelf.asked, post.missing) == ([], Reason.MODALITY_UNUSED)


@pytest.mark.parametrize(
    ("modality", "text", "image"), [("text", None, GOOD), ("image", "好", None)]
)
def test_a_post_of_which_the_model_can_use_nothing_is_rejected(
    modality: Modality, text: str | None, image: str | None
) -> None:
    """A model of one modality has no answer for the other."""
    post = fetched(text, image, (modality,))
    assert isinstance(post, Reject)
    assert post.reason == Reason.MODALITY_UNUSED


@pytest.mark.parametrize(
    ("modality", "text", "image"), [("text", "好", None), ("image", None, GOOD)]
)
def test_a_modality_that_the_model_does_not_know_is_not_missing(
    modality: Modality, text: str | None, image: str | None
) -> None:
    """A model of texts misses nothing in a post without an image."""
    post = fetched(text, image, (modality,))
    assert isinstance(post, Fetched)
    assert post.missing is None


def test_a_batch_keeps_its_order() -> None:
    """Posts with and without images, good and bad, come out as they went in."""
    posts = [("甲", GOOD), ("乙", None), ("丙", ABSENT), ("丁", DAMAGED), ("戊", GOOD)]
    reads = [
        Read(Record(Partition("posts", 0), offset, None, b"", (), 0), Post(text, text, image))
        for offset, (text, image) in enumerate(posts)
    ]
    shelf = Shelf()
    answers = Fetcher(shelf, Lens(), ("text", "image"), DEGRADE).fetch(reads)
    assert [answer.record for answer in answers if not isinstance(answer, Later)] == [
        read.record for read in reads
    ]
    assert shelf.asked == [GOOD, ABSENT, DAMAGED]
