"""Decide what may be asked of buckets: a reference enters, the URL of an object leaves.

`s3://bucket/key`: the bucket is one that the operator named, and everything after it is the key, as
it is written. Nothing is decoded, and nothing in a key is special: no query, no fragment.

The URL is made here, of the bucket's root and the quoted key, so that no key leads out of its
bucket. What proves the right to read it is added as it is asked for, and kept by nobody.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import ip_network
from typing import Final
from unicodedata import category
from urllib.parse import quote, unquote

from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.address_guard import AddressGuard

KEY_BYTES_MAX: Final = 1024
"""What all stores take at most."""

_INVALID: Final = Reason.IMAGE_REFERENCE_INVALID
_ANYWHERE: Final = (ip_network("0.0.0.0/0"), ip_network("::/0"))
# Of these the operator's settings are the cause more often than a post.
_SETTINGS_AT_FAULT: Final = frozenset(
    {
        *(HTTPStatus.MOVED_PERMANENTLY, HTTPStatus.TEMPORARY_REDIRECT),
        *(HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN),
    }
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bucket. `root` is what its objects' URLs begin with, and ends in `/`.

    `sign` gives the query that proves the right to read a key; an empty one proves nothing.
    """

    root: str
    sign: Callable[[str], str]


class BucketRules:
    """What may be read of the buckets of one scheme.

    `named_by` is the setting that names them, `hint` what to look at when their store refuses.
    """

    def __init__(self, buckets: Mapping[str, Bucket], named_by: str, hint: str) -> None:
        self._buckets = dict(buckets)
        self._named_by = named_by
        self._hint = hint
        ports = frozenset(URL(bucket.root).port or 0 for bucket in buckets.values())
        # Where a store is the operator says, inside or out; metadata of a cloud it never is.
        self._dialling = AddressGuard(
            frozenset(), (), any_public=False, ports=ports, networks=_ANYWHERE
        )

    def target(self, reference: str) -> URL | ImageProblem:
        """Where the object is that a stranger named, or why it may not be had."""
        _, slashes, path = reference.partition("://")
        name, _, key = path.partition("/")
        if not slashes or not name:
            return ImageProblem(_INVALID, "the reference must be scheme://bucket/key")
        bucket = self._buckets.get(name)
        if bucket is None:
            return ImageProblem(
                Reason.IMAGE_ADDRESS_FORBIDDEN, f"the bucket is not in {self._named_by}"
            )
        return _odd(key) or URL(bucket.root + quote(key, safe="/"), encoded=True)

    def redirected(self, asked: URL, location: str) -> URL | ImageProblem:  # noqa: ARG002
        """Nowhere: what proves the right to an object is not for others."""
        return ImageProblem(Reason.IMAGE_UNREADABLE, f"the store redirects: {self._hint}")

    def may_dial(self, address: str, port: int) -> bool:
        """Whether the store may be at this address."""
        return self._dialling.may_dial(address, port)

    def names(self, host: str) -> bool:  # noqa: ARG002
        """All hosts that are asked for are the operator's words."""
        return True

    def signed(self, url: URL) -> URL:
        """Add what proves the right to read an object."""
        text = str(url)
        for bucket in self._buckets.values():
            if text.startswith(bucket.root):
                query = bucket.sign(unquote(text.removeprefix(bucket.root)))
                return URL(f"{text}?{query}", encoded=True) if query else url
        return url

    def told(self, status: int) -> str:
        """What a status means to who reads of it."""
        said = f"the store answered {status}"
        return f"{said}: {self._hint}" if status in _SETTINGS_AT_FAULT else said


def _odd(key: str) -> ImageProblem | None:
    """What is wrong with a key: stores and what stands before them disagree on such."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return ImageProblem(_INVALID, "the key is not Unicode text")
    if size > KEY_BYTES_MAX:
        return ImageProblem(_INVALID, f"the key has more than {KEY_BYTES_MAX} bytes")
    if any(category(character) == "Cc" for character in key):
        return ImageProblem(_INVALID, "the key holds a control character")
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        return ImageProblem(_INVALID, "the key is empty, or has an empty name, `.` or `..` in it")
    return None
