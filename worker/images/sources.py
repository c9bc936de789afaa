"""A batch of image references goes in, the images' bytes or the reasons against them come out.

Who has had an image before says of which version; its source may then answer that it is unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from features.images import ImageProblem
from schemas.reasons import Reason

OTHER: Final = "other"
"""What all schemes that have no source are counted as."""

SCHEME_CHARACTERS_MAX: Final = 20


class BadRules(ValueError):
    """The settings of a source cannot be used; the text says which, and what is wrong."""


Version = tuple[str | int | bytes, ...]
"""What tells an image from a later one of the same reference; only its source reads it."""

Known = Mapping[str, Version]
"""Versions that the asker has had, by reference."""

NOTHING_KNOWN: Final[Known] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Versioned:
    """An image that its source can tell from a later one.

    For `fresh_s` nobody need ask again; 0: a later post must.
    """

    content: bytes
    version: Version
    fresh_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The image is still the one of the version that was known; the rest as in `Versioned`."""

    version: Version
    fresh_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Postponed:
    """With the others that were asked for it would be too much at once: ask again without them."""


Answer = bytes | Versioned | Unchanged | Postponed | ImageProblem
"""What a source says of a reference. Of plain bytes it cannot say when they change."""


class Portion:
    """What a source gives at once: so many bytes at most, and its first image in any case."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_left = bytes_max
        self._empty = True

    def fits(self, size: int) -> bool:
        """Whether it would take an image of `size` bytes now."""
        return self._empty or size <= self._bytes_left

    def takes(self, size: int) -> bool:
        """Put an image of `size` bytes into it, if it fits."""
        if not self.fits(size):
            return False
        self._bytes_left -= size
        self._empty = False
        return True


class ImageSource(Protocol):
    """Where images come from."""

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Give each reference's image, or why it cannot be had; in the same order.

        Only of a reference in `known` may the answer be `Unchanged`; never are all `Postponed`.
        """


class FetchWatch(Protocol):
    """Who is told how fetches go."""

    def images_fetched(self, scheme: str, answers: Sequence[Answer]) -> None:
        """These came of references of a scheme that has a source, or of `OTHER`."""

    def fetches_took(self, scheme: str, seconds: Sequence[float]) -> None:
        """Fetches over the network have ended, well or not: so long each took."""

    def hosts_left_alone(self, hosts: int) -> None:
        """So many hosts are not asked now, as they failed or asked for it."""


class Unwatched:
    """Tells nobody."""

    def images_fetched(self, scheme: str, answers: Sequence[Answer]) -> None:
        """Forget it."""

    def fetches_took(self, scheme: str, seconds: Sequence[float]) -> None:
        """Forget it."""

    def hosts_left_alone(self, hosts: int) -> None:
        """Forget it."""


class OffSource:
    """Stands for a source that is not configured; `detail` tells which setting would do it."""

    def __init__(self, detail: str) -> None:
        self._off = ImageProblem(Reason.IMAGE_SCHEME_OFF, detail)

    def fetch(
        self,
        references: Sequence[str],
        known: Known = NOTHING_KNOWN,  # noqa: ARG002 - it is off, whatever was known.
    ) -> Sequence[Answer]:
        """Refuse all."""
        return [self._off] * len(references)


class SourcesByScheme:
    """Hands each reference to the source of its scheme: the letters before the first colon."""

    def __init__(self, sources: Mapping[str, ImageSource], watch: FetchWatch) -> None:
        self._sources = dict(sources)
        self._watch = watch

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Ask each source once for all that is its own."""
        schemes = [reference.partition(":")[0].lower() for reference in references]
        rows: dict[str, list[int]] = {}
        for row, scheme in enumerate(schemes):
            rows.setdefault(scheme, []).append(row)
        fetched: dict[int, Answer] = {}
        for scheme, own in rows.items():
            answers = self._of(scheme, [references[row] for row in own], known)
            self._watch.images_fetched(scheme if scheme in self._sources else OTHER, answers)
            fetched.update(zip(own, answers, strict=True))
        return [fetched[row] for row in range(len(references))]

    def _of(self, scheme: str, references: Sequence[str], known: Known) -> Sequence[Answer]:
        source = self._sources.get(scheme)
        if source is None:
            return [_refused(scheme, reference) for reference in references]
        return source.fetch(references, known)


def _refused(scheme: str, reference: str) -> ImageProblem:
    # A reference without a scheme is the post's content, and not repeated.
    known = scheme if ":" in reference and len(scheme) <= SCHEME_CHARACTERS_MAX else ""
    named = f"the scheme {known!r} is unknown" if known else "the reference has no scheme"
    return ImageProblem(
        Reason.IMAGE_SCHEME_UNKNOWN, f"{named}: use file:, data:, http:, https:, s3:, gs: or az:"
    )
