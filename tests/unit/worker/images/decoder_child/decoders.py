"""Decoder children for tests: real ones, poisoned ones, and good images for them."""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from features.images import ImageLimits, ImageProblem, Pixels, decode
from schemas.manifest import ImageInput
from worker.images.child_decoder import ChildDecoder
from worker.images.decoder_child.child import COMMAND, DecoderChild, Ending, Needs

POISONED = (sys.executable, "-P", str(Path(__file__).with_name("poisoned_child.py")))
SPEC = ImageInput(height=8, width=6)
LIMITS = ImageLimits(bytes_max=1 << 20, pixels_max=4_000_000)
NEEDS = Needs(SPEC, LIMITS, image_timeout_s=20)
IMPATIENT = Needs(SPEC, LIMITS, image_timeout_s=0.3)


def png(grey: int, size: tuple[int, int] = (20, 10)) -> bytes:
    """A picture of one grey."""
    written = io.BytesIO()
    Image.new("RGB", size, (grey, grey, grey)).save(written, "PNG")
    return written.getvalue()


def poison(name: str) -> bytes:
    """An image that has the poisoned child do something."""
    return f"poison:{name}".encode()


def alike(one: Pixels | ImageProblem, other: Pixels | ImageProblem) -> bool:
    """Whether two decoders gave the same pixels, or the same reason in the same words."""
    if isinstance(one, ImageProblem) or isinstance(other, ImageProblem):
        return one is other or (type(one) is type(other) and one == other)
    return one.dtype == other.dtype and np.array_equal(one, other)


def here(image: bytes, needs: Needs = NEEDS) -> Pixels | ImageProblem:
    """What decoding in this process gives."""
    return decode(image, needs.spec, needs.limits)


@contextmanager
def decoding(
    needs: Needs = NEEDS, command: Sequence[str] = POISONED
) -> Iterator[tuple[ChildDecoder, list[Ending]]]:
    """A decoder with a spare, and what its children ended of; it is ended."""
    endings: list[Ending] = []
    decoder = ChildDecoder(needs, endings.append, command)
    try:
        yield decoder, endings
    finally:
        decoder.close()


@contextmanager
def one_child(needs: Needs = NEEDS, command: Sequence[str] = COMMAND) -> Iterator[DecoderChild]:
    """A child alone, ready; it is ended."""
    child = DecoderChild(needs, command)
    try:
        child.wait_ready()
        yield child
    finally:
        child.close()
