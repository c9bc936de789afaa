"""What holds of each secret among settings: one line, one source, written down on purpose alone.

Classes of settings enter their fields by pydantic's decorators; what is done with them is here.
"""

from collections.abc import Iterable
from typing import Any, Final

from pydantic import FieldSerializationInfo, SecretStr

WITH_SECRETS: Final = "with-secrets"
"""The context in which settings are written down secrets and all: for a child's standard input."""


def one_line(given: Any) -> Any:
    """Give a text or a secret back; a line end that came along would be a part of it.

    Raises ValueError.
    """
    text = given.get_secret_value() if isinstance(given, SecretStr) else given or ""
    if not text.isprintable():
        raise ValueError("it holds a line end or another control character: give one line")
    return given


def written_down(secret: SecretStr, info: FieldSerializationInfo) -> str:
    """Write a secret down as stars, or as it is where that is asked for by `WITH_SECRETS`."""
    return secret.get_secret_value() if info.context == WITH_SECRETS else str(secret)


def demand_one_source_each(settings: object, secrets: Iterable[str]) -> None:
    """Refuse a secret that is given as such and by a file: one of the two would silently lose.

    Raises ValueError.
    """
    for name in secrets:
        if getattr(settings, name) is not None and getattr(settings, f"{name}_file") is not None:
            raise ValueError(f"{name} and {name}_file are both set: unset one of them")
