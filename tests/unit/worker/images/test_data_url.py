import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import Reason
from tests.answers import reasons
from worker.images import data_url
from worker.images.data_url import DataSource

BYTES_MAX = 100


def read(*references: str) -> list[bytes | Reason]:
    """What each reference gives: bytes, or the reason."""
    return reasons(DataSource(BYTES_MAX).fetch(references))


def reference(image: bytes) -> str:
    """The usual writing of an image."""
    return "data:image/png;base64," + base64.b64encode(image).decode()


@given(st.binary(max_size=BYTES_MAX))
def test_what_was_encoded_is_read(image: bytes) -> None:
    """Any bytes up to the cap come back as they were."""
    assert read(reference(image)) == [image]


def test_escapes_and_capitals_are_allowed() -> None:
    """RFC 2397 allows %XX anywhere; the media type may be absent."""
    assert read("data:;BASE64,%51%55%45%3D", "DATA:;base64,QUE=") == [b"AA", b"AA"]


@pytest.mark.parametrize(
    "bad",
    [
        "data:",
        "data:image/png;base64",
        "data:image/png,plain",
        "data:;base64,QUE",
        "data:;base64,QUE=QUE=",
        "data:;base64,QU E=",
        "data:;base64,QUE=\n",
        "data:;base64,-_-_",
        "data:;base64,猫",
        "data:;base64,%zz",
        "data:;base64,\ud800",
    ],
)
def test_what_is_not_base64_is_invalid(bad: str) -> None:
    """One strict reading: no white space, no missing padding, no other alphabet."""
    assert read(bad) == [Reason.IMAGE_REFERENCE_INVALID]


@pytest.mark.parametrize("size", [BYTES_MAX + 1, BYTES_MAX + 2, BYTES_MAX + 3, 10 * BYTES_MAX])
def test_the_cap_is_on_the_image_s_bytes(size: int) -> None:
    """One byte over it is too large."""
    assert read(reference(b"x" * size)) == [Reason.IMAGE_TOO_LARGE]


def test_a_huge_reference_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cap protects the memory that decoding would take."""
    monkeypatch.delattr(data_url, "binascii")
    monkeypatch.delattr(data_url, "unquote_to_bytes")
    assert (
        read(reference(b"x" * 500), "data:;base64," + "%51" * 500) == [Reason.IMAGE_TOO_LARGE] * 2
    )
