"""Why a post was rejected, or one of its modalities not used: every reason that there is."""

from enum import StrEnum


class Reason(StrEnum):
    """A bounded vocabulary: metric label, dead-letter header, and a verdict's `missing`."""

    # The record is no post.
    MALFORMED_JSON = "malformed-json"
    NOT_AN_OBJECT = "not-an-object"
    MISSING_ID = "missing-id"
    WRONG_TYPE = "wrong-type"
    OUT_OF_RANGE = "out-of-range"
    TEXT_TOO_LONG = "text-too-long"
    NO_CONTENT = "no-content"

    # The post carries no such modality; only ever a verdict's `missing`.
    NO_TEXT = "no-text"
    NO_IMAGE = "no-image"

    # The image cannot be had.
    IMAGE_SCHEME_UNKNOWN = "image-scheme-unknown"
    IMAGE_SCHEME_OFF = "image-scheme-off"
    IMAGE_REFERENCE_INVALID = "image-reference-invalid"
    IMAGE_ADDRESS_FORBIDDEN = "image-address-forbidden"
    IMAGE_HOST_UNAVAILABLE = "image-host-unavailable"
    IMAGE_TIMEOUT = "image-timeout"
    IMAGE_NOT_FOUND = "image-not-found"
    IMAGE_UNREADABLE = "image-unreadable"
    IMAGE_TOO_LARGE = "image-too-large"
    IMAGE_TOO_MANY_PIXELS = "image-too-many-pixels"
    IMAGE_FORMAT_UNKNOWN = "image-format-unknown"
    IMAGE_DAMAGED = "image-damaged"
    IMAGE_NEEDS_TOO_MUCH_MEMORY = "image-needs-too-much-memory"
    IMAGE_DECODING_TOO_SLOW = "image-decoding-too-slow"
    IMAGE_DECODER_CRASHED = "image-decoder-crashed"

    # The model knows only one modality, and the post has only the other.
    MODALITY_UNUSED = "modality-unused"

    # It makes a stage or the model raise, and is to blame for that itself.
    POISON = "poison"

    # The verdict does not fit into a record.
    VERDICT_TOO_LARGE = "verdict-too-large"
