"""The golden examples of `schemas/examples`, as tests read them."""

import base64
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "schemas" / "examples"


def examples(topic: str, kind: str) -> list[Path]:
    """Every example of one topic, `good` or `bad`, in the order of names."""
    return sorted((EXAMPLES / topic / kind).glob("*.json"))


def expected_reason(example: Path) -> str:
    """What a bad post is rejected for: the first part of its file's name."""
    return example.name.partition(".")[0]


def octets(written: str | dict[str, str] | None) -> bytes | None:
    """Read bytes as an example writes them: as text where they are UTF-8, else as base64."""
    match written:
        case None:
            return None
        case str():
            return written.encode()
        case _:
            return base64.b64decode(written["base64"], validate=True)


def headers(written: list[list[Any]]) -> tuple[tuple[bytes, bytes | None], ...]:
    """Read a list of headers, names and values as `octets` does."""
    return tuple((octets(name) or b"", octets(value)) for name, value in written)
