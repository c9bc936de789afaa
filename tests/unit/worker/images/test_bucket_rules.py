"""Which references into buckets may be had, and what is asked for them."""

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.bucket_rules import KEY_BYTES_MAX, Bucket, BucketRules

INVALID, FORBIDDEN = Reason.IMAGE_REFERENCE_INVALID, Reason.IMAGE_ADDRESS_FORBIDDEN
HINT = "is the key right?"
ROOTS = {"photos": "http://127.0.0.1:9000/photos/", "other": "https://other.store.example/"}
RULES = BucketRules(
    {name: Bucket(root, lambda key: f"of={len(key)}") for name, root in ROOTS.items()},
    "s3_buckets",
    HINT,
)


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("s3://photos/a.jpg", "http://127.0.0.1:9000/photos/a.jpg"),
        ("S3://other/2026/a b.jpg", "https://other.store.example/2026/a%20b.jpg"),
        ("s3://photos/图/片.jpg", "http://127.0.0.1:9000/photos/%E5%9B%BE/%E7%89%87.jpg"),
        # Nothing in a key is special, and nothing is decoded.
        ("s3://photos/a?acl#b", "http://127.0.0.1:9000/photos/a%3Facl%23b"),
        ("s3://photos/%2e%2e/b", "http://127.0.0.1:9000/photos/%252e%252e/b"),
        ("s3://photos/a%2Fb", "http://127.0.0.1:9000/photos/a%252Fb"),
        ("s3://photos/a\\..\\b", "http://127.0.0.1:9000/photos/a%5C..%5Cb"),
        ("s3://photos/...", "http://127.0.0.1:9000/photos/..."),
    ],
)
def test_a_key_is_taken_as_it_is_written(reference: str, url: str) -> None:
    """Every character of it, up to the end of the reference."""
    assert str(RULES.target(reference)) == url


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("s3:", INVALID),
        ("s3:photos/a.jpg", INVALID),
        ("s3:/photos/a.jpg", INVALID),
        ("s3:///photos/a.jpg", INVALID),
        ("s3://photos", INVALID),
        ("s3://photos/", INVALID),
        ("s3://photos//", INVALID),
        ("s3://photos//a", INVALID),
        ("s3://photos/a//b", INVALID),
        ("s3://photos/a/", INVALID),
        ("s3://photos/http://x", INVALID),
        ("s3://photos/.", INVALID),
        ("s3://photos/..", INVALID),
        ("s3://photos/../private/a", INVALID),
        ("s3://photos/a/../../private/a", INVALID),
        ("s3://photos/a\0b", INVALID),
        ("s3://photos/a\r\nHost: x", INVALID),
        ("s3://photos/a\x85b", INVALID),
        ("s3://photos/\ud800", INVALID),
        ("s3://photos/" + "图" * 342, INVALID),
        ("s3://private/a", FORBIDDEN),
        ("s3://Photos/a", FORBIDDEN),
        ("s3://photos:80/a", FORBIDDEN),
        ("s3://me@photos/a", FORBIDDEN),
        ("s3://photos%2F/a", FORBIDDEN),
        ("s3://photos?/a", FORBIDDEN),
        ("s3://../photos/a", FORBIDDEN),
        ("s3://photos.example/a", FORBIDDEN),
    ],
)
def test_what_leads_out_of_the_named_buckets_is_refused(reference: str, reason: Reason) -> None:
    """No parser is asked what it makes of it, and nothing of the reference is repeated."""
    problem = RULES.target(reference)
    assert isinstance(problem, ImageProblem)
    assert problem.reason == reason
    assert "private" not in problem.detail


@given(st.text())
def test_every_key_that_is_taken_stays_in_its_bucket(key: str) -> None:
    """What is asked for is that key of that bucket, for any reader of URLs."""
    target = RULES.target(f"s3://photos/{key}")
    if isinstance(target, ImageProblem):
        assert target.reason == INVALID
        return
    asked = RULES.signed(target)
    text = str(asked)
    assert text == f"{target}?of={len(key)}"
    assert text.isascii()
    again = URL(text)
    assert (again.raw_host, again.port, again.raw_fragment) == ("127.0.0.1", 9000, "")
    assert unquote(again.raw_path, errors="strict") == f"/photos/{key}"
    assert len(key.encode()) <= KEY_BYTES_MAX


def test_a_public_bucket_is_asked_without_a_signature() -> None:
    """The URL is as it was."""
    rules = BucketRules({"photos": Bucket(ROOTS["photos"], lambda _: "")}, "s3_buckets", HINT)
    target = rules.target("s3://photos/a.jpg")
    assert isinstance(target, URL)
    assert rules.signed(target) is target


def test_no_signature_is_given_to_what_is_no_object_of_the_buckets() -> None:
    """Whoever makes the source ask for another URL learns nothing."""
    for url in (URL("http://127.0.0.1:9000/private/a"), URL("http://elsewhere.example/photos/a")):
        assert RULES.signed(url) is url


def test_a_store_s_redirect_is_not_followed() -> None:
    """Not even within the store."""
    for location in ("http://169.254.169.254/", "/photos/b.jpg"):
        problem = RULES.redirected(URL("http://127.0.0.1:9000/photos/a.jpg"), location)
        assert isinstance(problem, ImageProblem)
        assert (problem.reason, HINT in problem.detail) == (Reason.IMAGE_UNREADABLE, True)


@pytest.mark.parametrize(
    ("address", "port", "may"),
    [
        ("127.0.0.1", 9000, True),
        ("10.0.0.7", 443, True),
        ("fd00::7", 443, True),
        ("127.0.0.1", 22, False),
        ("169.254.169.254", 443, False),
        ("fd00:ec2::254", 443, False),
        ("100.100.100.200", 443, False),
    ],
)
def test_a_store_may_be_inside_and_is_no_metadata_of_a_cloud(
    address: str, port: int, may: bool
) -> None:
    """The operator named it; its name server may still lie."""
    assert RULES.may_dial(address, port) is may


@pytest.mark.parametrize(
    ("status", "hinted"), [(403, True), (401, True), (301, True), (404, False)]
)
def test_what_the_operator_can_set_right_is_told_with_a_hint(status: int, hinted: bool) -> None:
    """A key that may not read, or a bucket of another region; not an object that is not there."""
    assert RULES.told(status).startswith(f"the store answered {status}")
    assert (HINT in RULES.told(status)) is hinted
