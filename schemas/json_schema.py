"""The JSON Schema of each contract, made from its type; run as a command it writes them all.

What a type says, its schema says too. What no schema can say: the JSON text is UTF-8, a name is
not relied on twice, numbers in scores sum to 1.
"""

import inspect
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from schemas.manifest import Manifest
from schemas.models import Models
from schemas.post import Post
from schemas.verdict import Verdict

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
GENERATED: Final = Path(__file__).parent / "generated"
CONTRACTS: Final[dict[str, type]] = {
    "post": Post,
    "verdict": Verdict,
    "manifest": Manifest,
    "models": Models,
}

_CONTENT: Final = {
    "anyOf": [
        {"required": ["text"], "properties": {"text": {"type": "string", "pattern": "\\S"}}},
        {"required": ["image"], "properties": {"image": {"type": "string", "minLength": 1}}},
    ]
}
"""`Post.has_content`, which is a property and so not part of the type."""


def schema(name: str) -> dict[str, Any]:
    """Give the schema of one contract, whole: the type itself at the root, others in `$defs`."""
    contract = CONTRACTS[name]
    _, definitions = msgspec.json.schema_components((contract,), ref_template="#/$defs/{name}")
    types = {title: _flush(definition) for title, definition in definitions.items()}
    head = {"$schema": DIALECT, "$id": f"urn:tuwen:{name}"}
    root = types.pop(contract.__name__) | (_CONTENT if contract is Post else {})
    return head | root | ({"$defs": types} if types else {})


def _flush(definition: dict[str, Any]) -> dict[str, Any]:
    """Take the indentation from a docstring, as Python itself does from 3.13 on."""
    return definition | {"description": inspect.cleandoc(definition.get("description", ""))}


def text(name: str) -> str:
    """Give the schema as it stands in its file."""
    return msgspec.json.format(msgspec.json.encode(schema(name)), indent=2).decode() + "\n"


def path(name: str) -> Path:
    """Give the file of one contract's schema."""
    return GENERATED / f"{name}.schema.json"


def main() -> None:
    """Write every schema anew."""
    GENERATED.mkdir(exist_ok=True)
    for name in CONTRACTS:
        path(name).write_text(text(name), encoding="utf-8")
        sys.stdout.write(f"schemas/generated/{path(name).name}\n")


if __name__ == "__main__":
    main()
