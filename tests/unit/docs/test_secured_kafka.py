"""The examples of a secured Kafka are settings that fit together, the same in both languages."""

import re
import tomllib
from pathlib import Path

import pytest

from worker.settings import WorkerSettings

DOCS = Path(__file__).parents[3] / "docs"


def examples(name: str) -> list[str]:
    """Every example of settings in a document."""
    return re.findall(
        r"^```toml\n(.*?)^```", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("example", examples("operating.md"))
def test_an_example_is_taken(example: str) -> None:
    """Whoever copies one only has to name their own files."""
    settings = WorkerSettings.model_validate(tomllib.loads(example))
    assert settings.security_protocol != "PLAINTEXT"


def test_there_is_an_example_for_each_protocol_in_both_languages() -> None:
    """Neither document has what the other lacks."""
    english = examples("operating.md")
    assert english == examples("operating.zh.md")
    protocols = {tomllib.loads(example)["security_protocol"] for example in english}
    assert protocols == {"SSL", "SASL_SSL", "SASL_PLAINTEXT"}
