"""Bring each post's image: a post with pixels leaves, or without them and the reason why."""

import math
from collections.abc import Sequence

from features.images import ImageProblem
from schemas.reasons import Reason
from schemas.verdict import Modality
from worker.image_failures import ImageFailures
from worker.images.cache import ImageCache, no_cache
from worker.images.decoder import Decoder
from worker.images.pictures import Picture, Pictures
from worker.images.sources import ImageSource
from worker.messages import Fetched, Later, Read, Reject


class Fetcher:
    """Decides what a post without a usable image is worth; the model says what it can use."""

    def __init__(
        self,
        source: ImageSource,
        decoder: Decoder,
        modalities: Sequence[Modality],
        failures: ImageFailures,
        cache: ImageCache | None = None,
    ) -> None:
        self._pictures = Pictures(source, decoder, cache or no_cache())
        self._modalities = frozenset(modalities)
        self._failures = failures

    def fetch(self, reads: Sequence[Read]) -> list[Fetched | Reject | Later]:
        """Give every post its image, in the order of the posts."""
        wanted = [
            row
            for row, read in enumerate(reads)
            if read.post.has_image and "image" in self._modalities
        ]
        references = [reads[row].post.image or "" for row in wanted]
        images = dict(zip(wanted, self._pictures.of(references), strict=True))
        return [self._fetched(read, images.get(row)) for row, read in enumerate(reads)]

    def _fetched(
        self, read: Read, image: Picture | ImageProblem | None
    ) -> Fetched | Reject | Later:
        record, post = read.record, read.post
        has_text = post.has_text and "text" in self._modalities
        match image:
            case ImageProblem():
                return self._failed(read, image, has_text=has_text)
            case None if not has_text:
                return Reject(record, Reason.MODALITY_UNUSED, self._unused())
            case None:
                return Fetched(record, post, None, self._absent("image", there=post.has_image))
            case Picture(pixels=pixels, seen=seen, key=key):
                missing = None if has_text else self._absent("text", there=post.has_text)
                return Fetched(record, post, pixels, missing, seen, key)

    def _failed(
        self, read: Read, problem: ImageProblem, *, has_text: bool
    ) -> Fetched | Reject | Later:
        reason = problem.reason
        otherwise: Fetched | Reject = Reject(read.record, reason, problem.detail)
        if has_text and self._failures.at_last(reason) == "degrade":
            otherwise = Fetched(read.record, read.post, None, reason)
        if self._failures.action(reason) == "retry" and problem.again_s < math.inf:
            return Later(read, otherwise, problem.again_s)
        return otherwise

    def _absent(self, modality: Modality, *, there: bool) -> Reason | None:
        """Why the modality is not used; one that the model does not know is not missing."""
        if there:
            return Reason.MODALITY_UNUSED
        if modality not in self._modalities:
            return None
        return Reason.NO_IMAGE if modality == "image" else Reason.NO_TEXT

    def _unused(self) -> str:
        known = " and ".join(sorted(self._modalities))
        return f"the post has nothing that the model uses: it knows {known}"
