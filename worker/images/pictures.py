"""A batch's references become pictures: out of the cache, or fetched and decoded.

Each reference once, however many posts of the batch have it. Of what the cache holds that is good
for which nobody need ask yet, that which its source calls unchanged, and that whose image was
fetched again and is the same, byte for byte.

What is fetched is decoded before more is asked for than a source gives at once: a batch of large
images is never in memory as a whole.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

import msgspec

from features.images import ImageProblem
from worker.images.cache import Found, ImageCache, Kept, Pixels, Seen
from worker.images.decoder import Decoder
from worker.images.sources import Answer, ImageSource, Postponed, Unchanged, Version, Versioned


class Picture(msgspec.Struct, frozen=True, gc=False):
    """What a post's reference came to: `pixels` uint8[H,W,C], or float32[W] `seen` by the CNN.

    `key` is where the cache waits for what the CNN gives; None where it does not.
    """

    pixels: Pixels | None
    seen: Seen | None
    key: bytes | None


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An image that is not decoded yet; the rest as in `Kept`."""

    image: bytes
    version: Version | None
    content: bytes
    fresh_until_s: float


class Pictures:
    """Brings pictures. `now_s` is a monotonic clock."""

    def __init__(
        self,
        source: ImageSource,
        decoder: Decoder,
        cache: ImageCache,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._decoder = decoder
        self._cache = cache
        self._now_s = now_s

    def of(self, references: Sequence[str]) -> list[Picture | ImageProblem]:
        """Give each reference's picture, or why there is none; in the same order."""
        if not references:
            return []
        distinct = list(dict.fromkeys(references))
        keys = self._cache.keys(distinct)
        known = self._cache.known(keys)
        now_s = self._now_s()
        fresh = {each: kept for each, kept in known.items() if now_s < kept.fresh_until_s}
        asked = [each for each in distinct if each not in fresh]
        brought = self._in_portions(asked, known, now_s)
        self._cache.keep(
            {
                keys[each]: kept
                for each, kept in brought.items()
                if each in keys and isinstance(kept, Kept)
            }
        )
        found = fresh | brought
        self._tell(references, known, found)
        return [_picture(found[each], keys.get(each)) for each in references]

    def _in_portions(
        self, asked: Sequence[str], known: Mapping[str, Kept], now_s: float
    ) -> dict[str, Kept | ImageProblem]:
        """Bring all that is asked for; once something is postponed, as many at once as were had."""
        brought: dict[str, Kept | ImageProblem] = {}
        at_once = len(asked)
        while asked:
            portion = self._brought(self._answers(asked[:at_once], known), known, now_s)
            if len(portion) < len(asked[:at_once]):
                at_once = max(1, len(portion))
            brought |= portion
            asked = [each for each in asked if each not in portion]
        return brought

    def _answers(self, asked: Sequence[str], known: Mapping[str, Kept]) -> dict[str, Answer]:
        versions = {
            each: version
            for each in asked
            if each in known and (version := known[each].version) is not None
        }
        return dict(zip(asked, self._source.fetch(asked, versions), strict=True))

    def _brought(
        self, answers: Mapping[str, Answer], known: Mapping[str, Kept], now_s: float
    ) -> dict[str, Kept | ImageProblem]:
        """What came of those that were asked for and not postponed; times count from before."""
        found: dict[str, Kept | ImageProblem] = {}
        fetched: dict[str, _Fetched] = {}
        for reference, answer in answers.items():
            match answer:
                case ImageProblem():
                    found[reference] = answer
                case Postponed():
                    continue
                case Unchanged(version, fresh_s):
                    found[reference] = msgspec.structs.replace(
                        known[reference], version=version, fresh_until_s=now_s + fresh_s
                    )
                case Versioned(image, version, fresh_s):
                    fetched[reference] = _Fetched(image, version, b"", now_s + fresh_s)
                case bytes():
                    content = self._cache.content_of(answer)
                    kept = known.get(reference)
                    if kept is not None and kept.content == content:
                        found[reference] = kept
                    else:
                        fetched[reference] = _Fetched(answer, None, content, now_s)
                case _:
                    assert_never(answer)
        return found | self._decoded(fetched)

    def _decoded(self, fetched: Mapping[str, _Fetched]) -> dict[str, Kept | ImageProblem]:
        if not fetched:
            return {}
        decoded = self._decoder.decode([each.image for each in fetched.values()])
        return {
            reference: pixels
            if isinstance(pixels, ImageProblem)
            else Kept(_own(pixels), None, each.version, each.content, each.fresh_until_s)
            for (reference, each), pixels in zip(fetched.items(), decoded, strict=True)
        }

    def _tell(
        self,
        references: Sequence[str],
        known: Mapping[str, Kept],
        found: Mapping[str, Kept | ImageProblem],
    ) -> None:
        """Count posts: of those with one reference, one at most is a miss."""
        here: Counter[Found] = Counter()
        for reference, posts in Counter(references).items():
            first = _found_as(found[reference], known.get(reference))
            here[first] += 1
            here["hit" if first == "hit" else "shared"] += posts - 1
        for each, posts in here.items():
            self._cache.watch.image_cache_asked(each, posts)


def _found_as(found: Kept | ImageProblem, before: Kept | None) -> Found:
    if isinstance(found, ImageProblem):
        return "miss"
    if found.seen is not None:
        return "hit"
    return "miss" if before is None or before.pixels is not found.pixels else "shared"


def _picture(found: Kept | ImageProblem, key: bytes | None) -> Picture | ImageProblem:
    if isinstance(found, ImageProblem):
        return found
    return Picture(found.pixels, found.seen, key)


def _own(pixels: Pixels) -> Pixels:
    """The same, in memory of their own: a view would keep the pixels of its whole batch."""
    return pixels if pixels.flags.owndata else pixels.copy()
