"""Hostile and real images through the child: as decoding here, and the worker none the worse."""

import io
import itertools
import json
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from features.images import ImageLimits, ImageProblem, Pixels
from schemas.manifest import ImageInput
from tests.chaos import images as long_run
from tests.mutated_images import mutated
from tests.unit.worker.images.decoder_child.decoders import (
    alike,
    decoding,
    here,
    one_child,
)
from worker.images.child_decoder import ChildDecoder
from worker.images.decoder_child.child import COMMAND, Ended, Ending, Needs

# Small, so that what is kept for comparison weighs little.
NEEDS = Needs(ImageInput(24, 24), ImageLimits(10 << 20, 20_000_000), image_timeout_s=20)
BATCH = 50
GROWTH_MAX = 50 << 20
MUTATIONS = 5_000

Found = list[Pixels | ImageProblem]


@pytest.fixture(scope="module")
def child() -> Iterator[tuple[ChildDecoder, list[Ending]]]:
    """A decoder of the product's own children, and what ended them."""
    with decoding(NEEDS, COMMAND) as decoder:
        yield decoder


def decoded(decoder: ChildDecoder, images: Sequence[bytes]) -> Found:
    """Decode in batches, as a worker does."""
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return list(itertools.chain.from_iterable(map(decoder.decode, batches)))


def decoded_here(images: Iterable[bytes]) -> Found:
    """Decode in this process, deaf to what Pillow warns of, as a worker is."""
    with warnings.catch_warnings(action="ignore"):
        return [here(image, NEEDS) for image in images]


def unlike(images: Sequence[bytes], found: Found) -> list[int]:
    """The rows that are decoded in another way here."""
    expected = decoded_here(images)
    pairs = enumerate(zip(found, expected, strict=True))
    return [row for row, pair in pairs if not alike(*pair)]


def resident(decoder: ChildDecoder) -> int:
    """Bytes of the worker and of its child."""
    processes = (psutil.Process(), psutil.Process(decoder.pid))
    return sum(int(process.memory_info().rss) for process in processes)


def test_hostile_images_get_the_verdict_that_they_must(
    child: tuple[ChildDecoder, list[Ending]], test_data: Path
) -> None:
    """Of 169 made ones; bombs, lies and fragments end no child and leave no memory taken."""
    decoder, endings = child
    folder = test_data / "images_own" / "own_images"
    expectations = json.loads((folder / "expect.json").read_text("utf-8"))
    images = [(folder / name).read_bytes() for name in expectations]
    decoded(decoder, images[:BATCH])
    before = resident(decoder)
    found = decoded(decoder, images)
    assert resident(decoder) - before < GROWTH_MAX
    # A checksum that is wrong is forgiven by Pillow where the data can be read.
    forgiven = {"png_bad_crc.png"}
    wrong = [
        (name, expectation["expect"], one)
        for (name, expectation), one in zip(expectations.items(), found, strict=True)
        if " or " not in expectation["expect"]
        and name not in forgiven
        and expectation["expect"].startswith(
            "accept" if isinstance(one, ImageProblem) else "reject"
        )
    ]
    assert len(found) == 169
    assert wrong == []
    assert unlike(images, found) == []
    assert endings == []


def test_pillows_own_bad_images_are_decoded_as_here(
    child: tuple[ChildDecoder, list[Ending]], test_data: Path
) -> None:
    """Each that once was a fault of Pillow's, and nothing that it imports late is missing."""
    decoder, endings = child
    files = sorted(f for f in (test_data / "images_pillow").rglob("*") if f.is_file())
    images = [file.read_bytes() for file in files]
    found = decoded(decoder, images)
    assert len(files) > 100
    assert [files[row].name for row in unlike(images, found)] == []
    assert endings == []


def test_real_photographs_have_the_very_same_pixels(
    child: tuple[ChildDecoder, list[Ending]], test_data: Path
) -> None:
    """Two hundred of the corpus: what a model was trained on is what it is served."""
    decoder, endings = child
    files = sorted((test_data / "zh_pairs_dev" / "images").glob("*.jpg"))[:200]
    images = [file.read_bytes() for file in files]
    found = decoded(decoder, images)
    assert all(isinstance(one, np.ndarray) for one in found)
    assert unlike(images, found) == []
    assert endings == []


def test_mutated_images_are_decoded_as_here(child: tuple[ChildDecoder, list[Ending]]) -> None:
    """Five thousand good ones with a few alterations; `python -m tests.chaos.images` has more."""
    decoder, endings = child
    images = list(mutated(MUTATIONS, seed=1))
    decoded(decoder, images[:BATCH])
    before = resident(decoder)
    found = decoded(decoder, images)
    assert resident(decoder) - before < GROWTH_MAX
    assert [images[row] for row in unlike(images, found)] == []
    assert endings == []
    assert 500 < sum(isinstance(one, ImageProblem) for one in found) < MUTATIONS - 500


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that is told to")
def test_the_memory_of_a_large_image_is_given_back() -> None:
    """The second would lie in what the first has left, and stay there."""
    with one_child(NEEDS) as child:
        process = psutil.Process(child.pid)
        before = process.memory_info().rss
        for side in (2500, 2000):
            written = io.BytesIO()
            Image.new("CMYK", (side, side)).save(written, "JPEG")
            [found] = answered(child.decode([written.getvalue()]))
            assert not isinstance(found, ImageProblem)
        assert process.memory_info().rss - before < 10 << 20


def answered(answer: Found | Ended) -> Found:
    """What was found; it must be an answer."""
    assert not isinstance(answer, Ended), answer
    return answer


def test_the_long_run_says_what_became_of_each_image(capsys: pytest.CaptureFixture[str]) -> None:
    """A short one: all answered, and the seed to run it again."""
    assert long_run.main(["--images", "300", "--seed", "7"]) == 0
    said = capsys.readouterr().out
    assert "300 images from seed 7" in said
    assert "children that ended: none" in said
