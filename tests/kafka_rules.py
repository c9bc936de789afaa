"""Write the end of docs/faults.md: each rule of the Kafka client, and what fails without it.

    python -m tests.kafka_rules

It goes by `kafka_rules.toml`, and by the guards in `mutations.toml` that name a rule.
"""

import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.mutate import LIST, ROOT, Guard, read

RULES: Final = Path(__file__).with_name("kafka_rules.toml")
DOCUMENT: Final = ROOT / "docs" / "faults.md"
HEADING: Final = "\n## Rules of the Kafka client, and what fails without each\n"
_SECTION: Final = "\n## "
_HEAD: Final = """
Written by `python -m tests.kafka_rules`: what kafka-python 3.0.12 leaves to whoever uses it, and
the guards that keep each rule here. `make mutate` removes every guard, one at a time, in a copy of
the tree, and fails unless the test beside it fails then; `make mutate ARGS=K03c` does so with those
of one rule.

| rule | guard that is removed | test that fails |
|---|---|---|
"""


def rules() -> Mapping[str, str]:
    """Read the rules: their sentences, by their names."""
    with RULES.open("rb") as source:
        sentences: dict[str, str] = tomllib.load(source)["rules"]
    return sentences


def section(sentences: Mapping[str, str], guards: Iterable[Guard]) -> str:
    """Write heading and table; the sentence of a rule stands beside its first guard."""
    known = list(guards)
    rows = [
        f"| {cell} | {guard.holds} `{guard.file}` | `{guard.test}` |\n"
        for name, sentence in sentences.items()
        for cell, guard in _beside(name, sentence, known)
    ]
    return HEADING + _HEAD + "".join(rows)


def _beside(name: str, sentence: str, guards: Iterable[Guard]) -> Iterator[tuple[str, Guard]]:
    cell = f"**{name}** {sentence}"
    for guard in guards:
        if name in guard.rules:
            yield cell, guard
            cell = f"**{name}**"


def placed(text: str, written: str) -> str:
    """Put the section where it stood, or at the end; the others stay."""
    before, found, rest = text.partition(HEADING)
    if not found:
        return text + written
    _, heading, after = rest.partition(_SECTION)
    return before + written + heading + after


def main() -> None:
    """Write the section anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    written = section(rules(), read(LIST))
    DOCUMENT.write_text(placed(text, written), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
