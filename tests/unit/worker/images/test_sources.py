from collections.abc import Sequence

import pytest

from features.images import ImageProblem
from schemas.reasons import Reason
from worker.images.sources import (
    NOTHING_KNOWN,
    OTHER,
    Answer,
    Known,
    OffSource,
    SourcesByScheme,
    Unwatched,
)


class Echo:
    """Gives the reference back, and remembers the batches that it was asked for."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def fetch(self, references: Sequence[str], known: Known = NOTHING_KNOWN) -> Sequence[Answer]:
        """Answer all with themselves."""
        self.batches.append(list(references))
        return [reference.encode() for reference in references]


def test_each_scheme_is_asked_once_and_the_order_is_kept() -> None:
    """A batch of mixed schemes is one call for each source."""
    file, inline = Echo(), Echo()
    sources = SourcesByScheme({"file": file, "data": inline}, Unwatched())
    references = ["file:1", "data:1", "FILE:2", "data:2"]
    assert sources.fetch(references) == [reference.encode() for reference in references]
    assert (file.batches, inline.batches) == ([["file:1", "FILE:2"]], [["data:1", "data:2"]])


@pytest.mark.parametrize(
    ("reference", "reason", "told"),
    [
        ("ftp://x/a.jpg", Reason.IMAGE_SCHEME_UNKNOWN, "'ftp'"),
        ("images/a.jpg", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
        ("s3", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
        ("a caption that is long: really", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
        (":", Reason.IMAGE_SCHEME_UNKNOWN, "no scheme"),
    ],
)
def test_what_no_source_takes_is_refused_by_name(reference: str, reason: Reason, told: str) -> None:
    """Its detail says so, without the reference's content."""
    (problem,) = SourcesByScheme({"file": Echo()}, Unwatched()).fetch([reference])
    assert isinstance(problem, ImageProblem)
    assert (problem.reason, told in problem.detail) == (reason, True)
    assert "a.jpg" not in problem.detail
    assert "caption" not in problem.detail


def test_an_empty_batch_asks_nobody() -> None:
    """Nothing in, nothing out."""
    echo = Echo()
    assert SourcesByScheme({"file": echo}, Unwatched()).fetch([]) == []
    assert echo.batches == []


def test_a_source_that_is_off_says_what_would_turn_it_on() -> None:
    """For each reference of its scheme."""
    sources = SourcesByScheme({"http": OffSource("set this")}, Unwatched())
    assert (
        sources.fetch(["http://x/", "http://y/"])
        == [ImageProblem(Reason.IMAGE_SCHEME_OFF, "set this")] * 2
    )


def test_what_was_fetched_is_told_by_schemes_that_there_are() -> None:
    """A stranger's schemes would be any number of names."""
    told: list[tuple[str, list[Answer]]] = []

    class Watching(Unwatched):
        def images_fetched(self, scheme: str, answers: Sequence[Answer]) -> None:
            """Note it."""
            told.append((scheme, list(answers)))

    SourcesByScheme({"file": Echo()}, Watching()).fetch(["file:1", "odd:1", "FILE:2", "odder:1"])
    assert told[0] == ("file", [b"file:1", b"FILE:2"])
    assert [scheme for scheme, _ in told[1:]] == [OTHER, OTHER]
