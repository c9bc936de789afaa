import json
import string
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.post import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, Post
from schemas.reasons import Reason
from worker.decode import decode
from worker.messages import Partition, Read, Record, Reject

SECRET = "机密9271"
# What can stand in UTF-8: every character but the halves of surrogate pairs.
characters = st.characters(exclude_categories=["Cs"])
references = st.none() | st.text(characters, max_size=50)
posts = st.builds(
    Post,
    id=st.text(characters, min_size=1, max_size=ID_CHARACTERS_MAX),
    text=references,
    image=references,
).filter(lambda post: post.has_content)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "text", "image", "x"]), inner, max_size=4)
    ),
    max_leaves=8,
)
almost_json = st.lists(
    st.sampled_from(
        [
            *(b'{"id":', b'"a"', b'"text":', b'"', b",", b"}", b"{", b"[", b"]", b"null", b"1e9"),
            *(
                b"\\ud83d",
                b"\\u0000",
                b"\xff",
                b"\xe5\xa5\xbd",
                b"\xef\xbb\xbf",
                b"NaN",
                b"-",
                b":",
            ),
        ]
    ),
    max_size=20,
).map(b"".join)


def record(value: bytes | None) -> Record:
    """A record of the posts' topic."""
    return Record(Partition("tuwen.posts", 0), 7, None, value, (), 0)


def reject(value: bytes | None) -> tuple[Reason, str]:
    """Reason and detail of what must not be accepted."""
    outcome = decode(record(value))
    assert isinstance(outcome, Reject)
    assert outcome.record == record(value)
    return outcome.reason, outcome.detail


@given(posts)
def test_a_post_is_read_as_it_was_written(post: Post) -> None:
    """What a producer encodes comes out equal, and encodes again to an equal post."""
    outcome = decode(record(msgspec.json.encode(post)))
    assert outcome == Read(record(msgspec.json.encode(post)), post)
    assert isinstance(outcome, Read)
    assert decode(record(msgspec.json.encode(outcome.post))) == outcome


@given(posts)
def test_a_post_written_by_another_encoder_is_the_same_post(post: Post) -> None:
    """Escapes and white space change nothing."""
    written = json.dumps({"id": post.id, "text": post.text, "image": post.image}, indent=1)
    outcome = decode(record(written.encode()))
    assert isinstance(outcome, Read)
    assert outcome.post == post


@given(st.binary() | almost_json)
def test_any_bytes_give_a_post_or_a_reject(value: bytes) -> None:
    """Nothing that a producer writes raises; what is read is what Python's own parser reads."""
    outcome = decode(record(value))
    if isinstance(outcome, Read):
        parsed: dict[str, Any] = json.loads(value.decode())
        assert outcome.post == Post(parsed["id"], parsed.get("text"), parsed.get("image"))
    else:
        assert outcome.reason in Reason


@given(json_values)
def test_any_json_is_a_post_exactly_when_it_fits(value: Any) -> None:
    """A reader written out by hand agrees about every value of JSON."""
    outcome = decode(record(json.dumps(value).encode()))
    assert isinstance(outcome, Read) == fits(value)
    if isinstance(outcome, Reject):
        assert outcome.reason is not Reason.MALFORMED_JSON


def fits(value: object) -> bool:
    """Whether a value of JSON is a post, said without msgspec."""
    match value:
        case {"id": str(name), **others} if name:
            optional = [others.get("text"), others.get("image")]
            right = all(part is None or isinstance(part, str) for part in optional)
            return right and Post(name, *optional).has_content  # type: ignore[arg-type]  # checked.
        case _:
            return False


@given(st.binary(max_size=64) | almost_json)
def test_the_same_bytes_always_come_to_the_same(value: bytes) -> None:
    """A record that is read again after a crash gets the outcome it had."""
    assert decode(record(value)) == decode(record(value))


def test_a_record_without_value_is_not_an_object() -> None:
    """A tombstone is legal on the topic and no post."""
    assert reject(None) == (Reason.NOT_AN_OBJECT, "the record has no value")


@pytest.mark.parametrize(
    "value",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b'{"id":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"id":"a","text":"b","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"x":' + b'{"x":' * 200_000 + b"1" + b"}" * 200_001,
    ],
    ids=["lists open", "objects open", "in the id", "in an unknown field", "without an id"],
)
def test_nesting_without_end_is_malformed(value: bytes) -> None:
    """It costs no stack and raises nothing."""
    assert reject(value) == (Reason.MALFORMED_JSON, "nested too deeply")


@pytest.mark.parametrize("digits", [b"9" * 100_000, b"1e999999999", b"-0.0e-999999999"])
def test_a_huge_number_in_an_unknown_field_harms_nobody(digits: bytes) -> None:
    """It is skipped, not computed."""
    outcome = decode(record(b'{"id":"a","text":"b","x":' + digits + b"}"))
    assert isinstance(outcome, Read)


@pytest.mark.parametrize(
    "value", [b'{"id":"a","text":"\xff"}', b'{"id":"a","text":"b","x":"\xff"}']
)
def test_what_is_not_utf_8_is_malformed_wherever_it_stands(value: bytes) -> None:
    """The parser alone would skip an unknown field unread."""
    assert reject(value) == (Reason.MALFORMED_JSON, f"not UTF-8 at byte {value.index(255)}")


def test_syntax_is_told_before_types() -> None:
    """A broken text stays malformed, whatever its first half says."""
    assert reject(b'{"id":5,"text":}') == (Reason.MALFORMED_JSON, "invalid character (byte 15)")


@pytest.mark.parametrize(
    ("characters_long", "reason"), [(1, None), (128, None), (129, Reason.OUT_OF_RANGE)]
)
def test_the_id_is_measured_in_characters(characters_long: int, reason: Reason | None) -> None:
    """Not in bytes, and not in UTF-16 units."""
    outcome = decode(record(json.dumps({"id": "😀" * characters_long, "text": "b"}).encode()))
    assert (outcome.reason if isinstance(outcome, Reject) else None) == reason


def test_the_text_may_have_all_its_characters_and_none_more() -> None:
    """10,000 emoji are 40,000 bytes and fit."""
    longest = {"id": "a", "text": "😀" * TEXT_CHARACTERS_MAX}
    assert isinstance(decode(record(json.dumps(longest).encode())), Read)
    longest["text"] += "."
    assert reject(json.dumps(longest, ensure_ascii=False).encode()) == (
        Reason.TEXT_TOO_LONG,
        "text is longer than 10000 characters",
    )


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        ([SECRET], Reason.NOT_AN_OBJECT, "expected object, got array"),
        ({"text": SECRET}, Reason.MISSING_ID, "id is missing"),
        ({"id": {SECRET: SECRET}}, Reason.WRONG_TYPE, "id: expected text, got object"),
        ({"id": "a", "text": 9271}, Reason.WRONG_TYPE, "text: expected text or null, got int"),
        (
            {"id": SECRET, "image": [1]},
            Reason.WRONG_TYPE,
            "image: expected text or null, got array",
        ),
        ({"id": SECRET * 30}, Reason.OUT_OF_RANGE, "id is not 1 to 128 characters long"),
        ({"id": SECRET, SECRET: 1}, Reason.NO_CONTENT, "neither text nor image holds anything"),
    ],
)
def test_the_detail_names_field_and_expectation(value: object, reason: Reason, detail: str) -> None:
    """So that a producer can mend it, and no log or header shows what was written."""
    assert reject(json.dumps(value, ensure_ascii=False).encode()) == (reason, detail)


@given(st.text(string.ascii_letters, min_size=8, max_size=8), st.integers(0, 200))
def test_no_detail_quotes_content(secret: str, cut: int) -> None:
    """Wherever a post breaks off or goes wrong, its content stays out of the detail."""
    whole = json.dumps({"id": [secret], "text": {secret: secret}, secret: secret}).encode()
    assert secret not in reject(whole[:cut])[1]
    assert secret not in reject(whole[:cut] + b"\xff")[1]


def test_a_byte_order_mark_is_called_by_its_name() -> None:
    """It is invisible in most editors, so a byte's number would not help."""
    assert reject(b'\xef\xbb\xbf{"id":"a","text":"b"}') == (
        Reason.MALFORMED_JSON,
        "begins with a byte order mark",
    )
