"""How image hosts did, host by host: reports enter, the worst of them leave, as a page of JSON."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

SHOWN_MAX: Final = 10


class HostReport(msgspec.Struct, frozen=True):
    """One `host` with its port: requests, those that failed, their time, and whether it is asked.

    `asked` and `failed` count since the host was last unknown; `took_s` is the time of all.
    """

    host: str
    asked: int
    failed: int
    took_s: float
    left_alone: bool


def worst(reports: Iterable[HostReport]) -> list[HostReport]:
    """Those that failed most; of equals, those that took longest a request."""
    ordered = sorted(reports, key=lambda r: (-r.failed, -r.took_s / max(1, r.asked), r.host))
    return ordered[:SHOWN_MAX]


def page(reports: Sequence[HostReport]) -> bytes:
    """Write reports as JSON, one on a line."""
    lines = b",\n".join(msgspec.json.encode(report) for report in reports)
    return b"[\n" + lines + b"\n]\n" if lines else b"[]\n"


def merged(pages: Iterable[bytes]) -> bytes:
    """Make one page of those of several workers: a host counts once, with the sum of all."""
    hosts: dict[str, HostReport] = {}
    for text in pages:
        for report in msgspec.json.decode(text, type=list[HostReport]):
            known = hosts.get(report.host)
            hosts[report.host] = report if known is None else _sum(known, report)
    return page(worst(hosts.values()))


def _sum(one: HostReport, other: HostReport) -> HostReport:
    return HostReport(
        one.host,
        one.asked + other.asked,
        one.failed + other.failed,
        one.took_s + other.took_s,
        one.left_alone or other.left_alone,
    )
