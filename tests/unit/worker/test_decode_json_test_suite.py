from pathlib import Path

import pytest

from schemas.reasons import Reason
from worker.decode import decode
from worker.messages import Partition, Record, Reject

WRAPPED = b'{"id": "a", "text": "b", "unknown": %b}'


def verdicts_of_decoding(files: list[Path], template: bytes = b"%b") -> dict[str, Reason | None]:
    """What each file comes to, by its name; None for a post."""
    outcomes = {}
    for file in files:
        value = template % file.read_bytes()
        outcome = decode(Record(Partition("posts", 0), 0, None, value, (), 0))
        outcomes[file.name] = outcome.reason if isinstance(outcome, Reject) else None
    return outcomes


@pytest.fixture(scope="module")
def suite(test_data: Path) -> list[Path]:
    """All parsing tests of JSONTestSuite (Nicolas Seriot, "Parsing JSON is a Minefield")."""
    files = sorted((test_data / "jsontestsuite" / "jsontestsuite" / "test_parsing").iterdir())
    assert len(files) == 318
    return files


def named(suite: list[Path], letter: str) -> list[Path]:
    """The files that must be accepted (y), must be refused (n), or may be either (i)."""
    return [file for file in suite if file.name.startswith(letter)]


def test_json_that_is_no_post_is_not_called_malformed(suite: list[Path]) -> None:
    """What every reader of JSON must accept is rejected for what it is."""
    reasons = verdicts_of_decoding(named(suite, "y_"))
    assert len(reasons) == 95
    # One of them has an id.
    assert set(reasons.values()) == {Reason.NOT_AN_OBJECT, Reason.MISSING_ID, Reason.NO_CONTENT}


def test_what_is_no_json_is_called_malformed(suite: list[Path]) -> None:
    """What every reader of JSON must refuse is refused as such."""
    reasons = verdicts_of_decoding(named(suite, "n_"))
    assert len(reasons) == 188
    assert set(reasons.values()) == {Reason.MALFORMED_JSON}


def test_what_readers_may_take_or_leave_is_rejected_without_harm(suite: list[Path]) -> None:
    """Odd encodings, halves of surrogate pairs, huge numbers."""
    reasons = verdicts_of_decoding(named(suite, "i_"))
    assert len(reasons) == 35
    assert None not in reasons.values()


def test_json_in_an_unknown_field_is_skipped(suite: list[Path]) -> None:
    """A post stays one, whatever its producer adds to it, if only it is JSON."""
    reasons = verdicts_of_decoding(named(suite, "y_"), WRAPPED)
    assert set(reasons.values()) == {None}


def test_what_is_no_json_spoils_its_post_from_an_unknown_field(suite: list[Path]) -> None:
    """A skipped field is read strictly too."""
    reasons = verdicts_of_decoding(named(suite, "n_"), WRAPPED)
    assert set(reasons.values()) == {Reason.MALFORMED_JSON}
