"""A batch of image references goes in, the images' bytes or the reasons against them come out."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.host_reports import HostReport

OFF: Final = frozenset({"s3", "gs", "az"})
"""Schemes that are known, and cannot be fetched safely yet."""

OTHER: Final = "other"
"""What all schemes that have no source are counted as."""

SCHEME_CHARACTERS_MAX: Final = 20


class BadRules(ValueError):
    """The settings of a source cannot be used; the text says which, and what is wrong."""


class ImageSource(Protocol):
    """Where images come from."""

    def fetch(self, references: Sequence[str]) -> list[bytes | ImageProblem]:
        """Give each reference's bytes, or why they cannot be had; in the same order."""


class NetworkSource(ImageSource, Protocol):
    """A source that asks hosts."""

    def worst_hosts(self) -> list[HostReport]:
        """Tell which did worst of late."""


class FetchWatch(Protocol):
    """Who is told how fetches go."""

    def images_fetched(self, scheme: str, images: Sequence[bytes | ImageProblem]) -> None:
        """These came of references of a scheme that has a source, or of `OTHER`."""

    def fetch_took(self, scheme: str, seconds: float) -> None:
        """A fetch over the network has ended, well or not."""

    def hosts_left_alone(self, hosts: int) -> None:
        """So many hosts are not asked now, as they failed or asked for it."""


class Unwatched:
    """Tells nobody."""

    def images_fetched(self, scheme: str, images: Sequence[bytes | ImageProblem]) -> None:
        """Forget it."""

    def fetch_took(self, scheme: str, seconds: float) -> None:
        """Forget it."""

    def hosts_left_alone(self, hosts: int) -> None:
        """Forget it."""


class OffSource:
    """Stands for a source that is not configured; `detail` tells which setting would do it."""

    def __init__(self, detail: str) -> None:
        self._off = ImageProblem(Reason.IMAGE_SCHEME_OFF, detail)

    def fetch(self, references: Sequence[str]) -> list[bytes | ImageProblem]:
        """Refuse all."""
        return [self._off] * len(references)

    def worst_hosts(self) -> list[HostReport]:
        """None was asked."""
        return []


class SourcesByScheme:
    """Hands each reference to the source of its scheme: the letters before the first colon."""

    def __init__(self, sources: Mapping[str, ImageSource], watch: FetchWatch) -> None:
        self._sources = dict(sources)
        self._watch = watch

    def fetch(self, references: Sequence[str]) -> list[bytes | ImageProblem]:
        """Ask each source once for all that is its own."""
        schemes = [reference.partition(":")[0].lower() for reference in references]
        rows: dict[str, list[int]] = {}
        for row, scheme in enumerate(schemes):
            rows.setdefault(scheme, []).append(row)
        fetched: dict[int, bytes | ImageProblem] = {}
        for scheme, own in rows.items():
            images = self._of(scheme, [references[row] for row in own])
            self._watch.images_fetched(scheme if scheme in self._sources else OTHER, images)
            fetched.update(zip(own, images, strict=True))
        return [fetched[row] for row in range(len(references))]

    def _of(self, scheme: str, references: Sequence[str]) -> list[bytes | ImageProblem]:
        source = self._sources.get(scheme)
        if source is None:
            return [_refused(scheme, reference) for reference in references]
        return source.fetch(references)


def _refused(scheme: str, reference: str) -> ImageProblem:
    if scheme in OFF and ":" in reference:
        return ImageProblem(Reason.IMAGE_SCHEME_OFF, f"{scheme}: is not available yet")
    # A reference without a scheme is the post's content, and not repeated.
    known = scheme if ":" in reference and len(scheme) <= SCHEME_CHARACTERS_MAX else ""
    named = f"the scheme {known!r} is unknown" if known else "the reference has no scheme"
    return ImageProblem(Reason.IMAGE_SCHEME_UNKNOWN, f"{named}: use file:, data:, http: or https:")
