"""The addresses that attackers of fetchers use, from the real data: each with what must happen."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tests.services import missing_service

BENIGN_HOSTS = (
    "8.8.8.8,2606:2800:220:1:248:1893:25c8:1946,example.com,img.example.com,xn--r8jz45g.jp"
)
"""The hosts of the addresses that are benign."""

OF_A_BENIGN_HOST = (
    "http://ⓔⓧⓐⓜⓟⓛⓔ.ⓒⓞⓜ",
    "https://example.com/ssrf.php?url=http://brutelogic.com.br/poc.svg",
)
"""Other references to a benign host: hostile to what stands there, not to who fetches."""


@dataclass(frozen=True, slots=True)
class HostileAddress:
    """A reference as a stranger might write it."""

    url: str
    allowed: bool


def hostile_addresses() -> list[HostileAddress]:
    """Read all of them; five are benign, so that refusing everything passes no test."""
    source = os.environ.get("TUWEN_TEST_DATA")
    listed = Path(source) / "hostile" / "ssrf_urls.jsonl" if source else None
    if listed is None or not listed.is_file():
        missing_service("the real data", "let TUWEN_TEST_DATA name the folder of its archives")
    rows = [json.loads(line) for line in listed.read_text(encoding="utf-8").splitlines()]
    return [HostileAddress(row["url"], row["expect"] == "allow_syntax") for row in rows]
