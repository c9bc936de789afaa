"""Which operator sets an ONNX file asks for, read from its bytes.

The few fields needed are read from the Protocol Buffers wire format, so that serving does not
carry the package `onnx`. Field numbers: onnx.proto, ModelProto and OperatorSetIdProto.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_OPSET_IMPORT: Final = 8
_FUNCTIONS: Final = 25
_DOMAIN: Final = 1
_VERSION: Final = 2

_VARINT: Final = 0
_FIXED: Final = {1: 8, 5: 4}
_BYTES: Final = 2


class NotOnnx(ValueError):
    """The bytes are no ONNX model."""


@dataclass(frozen=True, slots=True)
class Operators:
    """The version by domain, and whether the file brings functions of its own."""

    opsets: dict[str, int]
    has_functions: bool


def operators(model: bytes) -> Operators:
    """The operator sets of a serialised ModelProto. Raises NotOnnx."""
    view = memoryview(model)
    opsets: dict[str, int] = {}
    has_functions = False
    try:
        for field, value in _fields(view):
            if field == _OPSET_IMPORT and isinstance(value, memoryview):
                parts = dict(_fields(value))
                domain = parts.get(_DOMAIN, b"")
                version = parts.get(_VERSION, 0)
                if isinstance(domain, int) or not isinstance(version, int):
                    raise NotOnnx("an operator set has fields of other types")
                opsets[bytes(domain).decode()] = version
            has_functions |= field == _FUNCTIONS
    except (IndexError, UnicodeDecodeError) as error:
        raise NotOnnx("the file ends in the middle, or is no ONNX model") from error
    if not opsets:
        raise NotOnnx("the file names no operator set")
    return Operators(opsets, has_functions)


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Each field's number, and its integer or bytes."""
    place = 0
    while place < len(view):
        tag, place = _varint(view, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(view, place)
            yield tag >> 3, value
            continue
        length = _FIXED.get(kind)
        if length is None:
            if kind != _BYTES:
                raise NotOnnx(f"wire type {kind}")
            length, place = _varint(view, place)
        if place + length > len(view):
            raise NotOnnx("a field reaches beyond the file")
        yield tag >> 3, view[place : place + length]
        place += length


def _varint(view: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
