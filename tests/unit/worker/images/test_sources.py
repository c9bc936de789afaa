from collections.abc import Sequence

import pytest

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.sources import SourcesByScheme


class Echo:
    """Gives the reference back, and remembers the batches that it was asked for."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def fetch(self, references: Sequence[str]) -> list[bytes | ImageProblem]:
        """Answer all with themselves."""
        self.batches.append(list(references))
        return [reference.encode() for reference in references]


def test_each_scheme_is_asked_once_and_the_order_is_kept() -> None:
    """A batch of mixed schemes is one call for each source."""
    file, inline = Echo(), Echo()
    sources = SourcesByScheme({"file": file, "data": inline})
    references = ["file:1", "data:1", "FILE:2", "data:2"]
    assert sources.fetch(references) == [reference.encode() for reference in references]
    assert (file.batches, inline.batches) == ([["file:1", "FILE:2"]], [["data:1", "data:2"]])


@pytest.mark.parametrize(
    ("reference", "reason", "told"),
    [
        ("http://x/a.jpg", Reason.IMAGE_SCHEME_OFF, "not available yet"),
        ("HTTPS://x/a.jpg", Reason.IMAGE_SCHEME_OFF, "not available yet"),
        ("s3://bucket/key", Reason.IMAGE_SCHEME_OFF, "not available yet"),
        ("gs://bucket/key", Reason.IMAGE_SCHEME_OFF, "not available yet"),
        ("az://bucket/key", Reason.IMAGE_SCHEME_OFF, "not available yet"),
        ("ftp://x/a.jpg", Reason.IMAGE_SCHEME_UNKNOWN, "'ftp'"),
        ("images/a.jpg", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
        ("http", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
        ("a caption that is long: really", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
        (":", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
    ],
)
def test_what_no_source_takes_is_refused_by_name(reference: str, reason: Reason, told: str) -> None:
    """Known but off, or unknown; the detail says which, without the reference's content."""
    (problem,) = SourcesByScheme({"file": Echo()}).fetch([reference])
    assert isinstance(problem, ImageProblem)
    assert (problem.reason, told in problem.detail) == (reason, True)
    assert "a.jpg" not in problem.detail
    assert "caption" not in problem.detail


def test_an_empty_batch_asks_nobody() -> None:
    """Nothing in, nothing out."""
    echo = Echo()
    assert SourcesByScheme({"file": echo}).fetch([]) == []
    assert echo.batches == []
