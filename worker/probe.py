"""Make a post that is known to be good, to tell a poisonous post from a broken model.

A manifest enters; the same post leaves as each stage wants it. It has all that the model knows,
so that it goes through every graph, and it is of the kind that the parity gate scores.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.manifest import Manifest
from schemas.post import Post
from worker.messages import Fetched, Partition, Read, Record

POST: Final = Post(
    "tuwen.probe",
    "图文",
    # One grey pixel, as PNG.
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mNoaGgAAAMEAYF1"
    "LgG8AAAAAElFTkSuQmCC",
)
GREY: Final = 128


@dataclass(frozen=True, slots=True)
class Probe:
    """The post before it is decoded, before its image is fetched, and with it."""

    record: Record
    read: Read
    fetched: Fetched

    def with_only(self, *, text: bool, image: bool) -> Fetched:
        """Give it with its image as if its post had no others than these."""
        fetched = self.fetched
        if not image:
            fetched = replace(fetched, pixels=None)
        if not text:
            fetched = replace(fetched, post=replace(fetched.post, text=None))
        return fetched


def probe_of(manifest: Manifest) -> Probe:
    """Make it for a model; its record lies nowhere, and nothing of it is ever published."""
    record = Record(Partition("", -1), -1, None, msgspec.json.encode(POST), (), 0)
    image = manifest.image
    sides = None if image is None else (image.height, image.width, image.channels)
    pixels = None if sides is None else np.full(sides, GREY, np.uint8)
    return Probe(record, Read(record, POST), Fetched(record, POST, pixels, None))
