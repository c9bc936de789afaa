"""Turn a record's bytes into a post, or say why not.

A value is read strictly: UTF-8 throughout, one JSON text of RFC 8259, no byte order mark. Where
a name is given twice the last one counts, and each must be right. What is wrong with the whole
is told before what is wrong with a field: half a JSON text is malformed, not of a wrong type.
"""

import codecs
import re
from typing import Final

import msgspec

from schemas.post import ID_CHARACTERS_MAX, TEXT_CHARACTERS_MAX, Post
from schemas.reasons import Reason
from worker.messages import Read, Record, Reject

_POST: Final = msgspec.json.Decoder(Post)
_ANYTHING: Final = msgspec.json.Decoder(msgspec.Raw)
_FIELD: Final = re.compile(r" - at `\$\.(\w+)`$")


def decode(record: Record) -> Read | Reject:
    """Read the post that the record's value holds. Never raises, whatever the bytes."""
    value = record.value
    if value is None:
        return Reject(record, Reason.NOT_AN_OBJECT, "the record has no value")
    try:
        # msgspec skips the bytes of unknown fields unread, so that is no check of them.
        str(value, "utf-8")
        post = _POST.decode(value)
    except UnicodeDecodeError as error:
        return Reject(record, Reason.MALFORMED_JSON, f"not UTF-8 at byte {error.start}")
    except RecursionError:
        return Reject(record, Reason.MALFORMED_JSON, "nested too deeply")
    except msgspec.ValidationError as error:
        return Reject(record, *(_malformed(value) or _unfit(str(error))))
    except msgspec.DecodeError as error:
        return Reject(record, Reason.MALFORMED_JSON, _syntax(value, error))
    if not post.has_content:
        return Reject(record, Reason.NO_CONTENT, "neither text nor image holds anything")
    return Read(record, post)


def _malformed(value: bytes) -> tuple[Reason, str] | None:
    """Read on to the end: the first field that did not fit may stand before broken syntax."""
    try:
        _ANYTHING.decode(value)
    except RecursionError:
        return Reason.MALFORMED_JSON, "nested too deeply"
    except msgspec.DecodeError as error:
        return Reason.MALFORMED_JSON, _syntax(value, error)
    return None


def _syntax(value: bytes, error: msgspec.DecodeError) -> str:
    """Name the place; msgspec's messages about syntax quote nothing of the value."""
    if value.startswith(codecs.BOM_UTF8):
        return "begins with a byte order mark"
    return str(error).removeprefix("JSON is malformed: ").lower()


def _unfit(message: str) -> tuple[Reason, str]:
    """Sort what msgspec says of a value that is JSON and no post; it names types, not values."""
    found = _FIELD.search(message)
    if found is None:
        if message.startswith("Object missing required field"):
            return Reason.MISSING_ID, "id is missing"
        return Reason.NOT_AN_OBJECT, _plain(message)
    field = found[1]
    if "of length" not in message:
        return Reason.WRONG_TYPE, f"{field}: {_plain(message[: found.start()])}"
    if field == "text":
        return Reason.TEXT_TOO_LONG, f"text is longer than {TEXT_CHARACTERS_MAX} characters"
    return Reason.OUT_OF_RANGE, f"{field} is not 1 to {ID_CHARACTERS_MAX} characters long"


def _plain(message: str) -> str:
    """Say it in the words of JSON, not of Python."""
    return message.lower().replace("`", "").replace("str", "text").replace(" | ", " or ")
