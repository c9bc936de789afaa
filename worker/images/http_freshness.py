"""What a host says of how long its image stays the same (RFC 9111): headers enter and leave.

Of an answer's headers come the image's version and the seconds for which nobody need ask again; of
a version that is known come the headers that ask whether it still is the one.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from yarl import URL

from worker.images.sources import Version

Headers = Mapping[str, str]
"""Names of any case; a header that was sent twice is twice among its items."""

# What is longer than this is nobody's version of an image; it would be kept with each of them.
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[!#-~]{0,200}"', re.ASCII)
_SECONDS: Final = re.compile(r'"?([0-9]{1,9})"?', re.ASCII)

SETTLED: Final = timedelta(seconds=60)
"""How much older than its answer an image must be, to be told by its date (RFC 9110, 8.8.2.2)."""


def version_of(url: URL, headers: Headers) -> Version | None:
    """The URL that answered, and the tag or the date that it gave; None where it gave neither.

    A condition is put to that very URL: of another one the same tag may be another image's.
    """
    tag = headers.get("ETag", "")
    if _ENTITY_TAG.fullmatch(tag):
        return str(url), tag
    date = headers.get("Last-Modified", "")
    modified, answered = _date(date), _date(headers.get("Date", ""))
    if modified is not None and answered is not None and answered - modified >= SETTLED:
        return str(url), date
    return None


def condition(url: URL, known: Version | None) -> Mapping[str, str]:
    """The headers that ask whether a known image is still the one; none for another URL's."""
    match known:
        case (str(asked), str(tag)) if asked == str(url):
            return {"If-None-Match" if tag.endswith('"') else "If-Modified-Since": tag}
        case _:
            return {}


def fresh_s(headers: Headers, bound_s: float) -> float:
    """For how long the host says that nobody need ask again, `bound_s` at most."""
    said = ",".join(v.lower() for k, v in headers.items() if k.lower() == "cache-control")
    directives = dict(_directive(each) for each in said.split(","))
    if "no-cache" in directives or "no-store" in directives or headers.get("Vary", "") == "*":
        return 0.0
    left_s = _seconds(directives.get("max-age", "")) - _seconds(headers.get("Age", ""))
    return min(bound_s, max(0.0, left_s))


def _directive(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip(), value.strip()


def _seconds(text: str) -> float:
    """A number of seconds; what is none says nothing."""
    found = _SECONDS.fullmatch(text)
    return float(found[1]) if found else 0.0


def _date(text: str) -> datetime | None:
    """A date with its zone, where it is one."""
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return date if date.tzinfo is not None else None
