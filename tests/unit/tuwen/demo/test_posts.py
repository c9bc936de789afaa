import itertools
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from features.images import ImageLimits, decode
from schemas.manifest import ImageInput
from tests.answers import images as images_of
from tuwen.demo.bad_posts import IMAGE_BYTES_MAX, KINDS, bad_posts, make_images
from tuwen.demo.posts import DemoPost, TruthRow, plan, read_rows
from worker.decode import decode as decode_record
from worker.images.file import FileSource
from worker.messages import Partition, Read, Record, Reject

ROWS = [
    TruthRow("r1", "积极", "真好", "images/1.jpg"),
    TruthRow("r2", "消极", "真差", None),
    TruthRow("r3", "中性", None, "images/3.png"),
]
BAD = bad_posts("run", "bad-images")


def record(value: bytes) -> Record:
    """A record of the posts' topic."""
    return Record(Partition("posts", 0), 0, None, value, (), 0)


def test_there_are_two_bad_posts_of_each_of_ten_kinds() -> None:
    """As the demo says."""
    assert Counter(post.kind for post in BAD) == dict.fromkeys(KINDS, 2)
    assert len(KINDS) == 10
    assert len({post.id for post in BAD}) == 20


@pytest.mark.parametrize("post", BAD, ids=lambda post: post.id)
def test_a_bad_post_is_no_post_or_has_a_bad_image(post: object) -> None:
    """What is no post is rejected at once; the others are posts, and their image decides."""
    bad = next(one for one in BAD if one is post)
    has_image = bad.kind.startswith("image")

    found = decode_record(record(bad.value))

    assert isinstance(found, Read if has_image else Reject)
    if isinstance(found, Read):
        assert found.post.has_text == (bad.fate == "degrades")


def test_bad_images_cannot_be_had(tmp_path: Path) -> None:
    """Neither the missing one nor those that are made, each for a reason of its own."""
    good = tmp_path / "good.jpg"
    Image.radial_gradient("L").convert("RGB").save(good)
    make_images(tmp_path / "bad-images", good)
    limits = ImageLimits(IMAGE_BYTES_MAX, 50_000_000)
    names = ["missing", "truncated", "no-image", "too-large"]
    references = [f"file:bad-images/{name}.jpg" for name in names]

    found = images_of(FileSource(tmp_path, limits.bytes_max).fetch(references))
    images = [decode(i, ImageInput(8, 8), limits) if isinstance(i, bytes) else i for i in found]

    assert [getattr(image, "reason", "fine") for image in images] == [
        "image-not-found",
        "image-damaged",
        "image-format-unknown",
        "image-too-large",
    ]


def test_a_plan_has_the_sizes_asked_for_and_ids_of_its_own() -> None:
    """However often a row must come again."""
    made = plan(ROWS, BAD, steady=100, burst=37, run="run")

    assert (len(made.steady), len(made.burst)) == (100, 37)
    assert len({post.id for post in made.all}) == 137
    assert sum(post.kind is not None for post in made.steady) == 20
    assert all(post.kind is None for post in made.burst)


def test_bad_posts_are_spread_over_the_steady_part() -> None:
    """No two of them follow each other, and none comes first or last."""
    kinds = [post.kind for post in plan(ROWS, BAD, steady=200, burst=0, run="run").steady]
    places = [place for place, kind in enumerate(kinds) if kind is not None]

    assert min(b - a for a, b in itertools.pairwise(places)) > 1
    assert places[0] > 0
    assert places[-1] < 199


def test_a_good_post_keeps_its_truth_and_names_its_image_beneath_the_root() -> None:
    """The truth stays with the demo, and is not in what is sent."""
    post = plan(ROWS, [], steady=1, burst=0, run="run").steady[0]

    assert post == DemoPost("run-r1-0", post.value, "真好", "积极")
    assert msgspec.json.decode(post.value) == {
        "id": "run-r1-0",
        "text": "真好",
        "image": "file:corpus/images/1.jpg",
    }


def test_the_same_run_is_planned_the_same_way() -> None:
    """An order that changes between two looks would be of no use."""
    assert plan(ROWS, BAD, 60, 5, "run") == plan(ROWS, BAD, 60, 5, "run")


def test_rows_are_read_without_their_training_targets(tmp_path: Path) -> None:
    """Fields that the demo does not need are ignored."""
    row = {"id": "a", "text": "x", "image": None, "label": 1, "label_name": "中性", "text_label": 3}
    path = tmp_path / "test.jsonl"
    path.write_bytes(msgspec.json.encode(row) + b"\n\n")

    assert read_rows(path) == [TruthRow("a", "中性", "x", None)]
