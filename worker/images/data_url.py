"""Read `data:` references (RFC 2397): the image itself, in base64, capped before it is decoded.

`data:[<media type>];base64,<content>`; the media type is not believed. The alphabet is RFC 4648's
first, with padding and without white space; `%XX` in it is decoded first.
"""

import binascii
import math
from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.sources import NOTHING_KNOWN, Answer, Known, Versioned

SCHEME: Final = "data"

ALWAYS_THE_SAME: Final = ()
"""The version of an image that stands in its reference."""


class DataSource:
    """Decodes images of at most `bytes_max` bytes."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max

    def fetch(
        self,
        references: Sequence[str],
        known: Known = NOTHING_KNOWN,  # noqa: ARG002 - who knows one need not ask.
    ) -> Sequence[Answer]:
        """Decode each."""
        images = map(self._decode, references)
        return [
            image
            if isinstance(image, ImageProblem)
            else Versioned(image, ALWAYS_THE_SAME, math.inf)
            for image in images
        ]

    def _decode(self, reference: str) -> bytes | ImageProblem:
        head, comma, content = reference.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            return _invalid("a data: reference must be data:…;base64,…")
        # The longest writing of a byte is four thirds of `%XX`.
        longest = 3 if "%" in content else 1
        if len(content) * 3 > 4 * longest * (self._bytes_max + 2):
            return self._too_large()
        try:
            encoded = unquote_to_bytes(content) if longest > 1 else content.encode("ascii")
            image = binascii.a2b_base64(encoded, strict_mode=True)
        except (binascii.Error, UnicodeEncodeError):
            return _invalid("the content is not base64")
        return image if len(image) <= self._bytes_max else self._too_large()

    def _too_large(self) -> ImageProblem:
        return ImageProblem(Reason.IMAGE_TOO_LARGE, f"more than {self._bytes_max} bytes")


def _invalid(detail: str) -> ImageProblem:
    return ImageProblem(Reason.IMAGE_REFERENCE_INVALID, detail)
