from pathlib import Path

import msgspec
import pytest

from schemas.dead_letter import failure, split
from schemas.reasons import Reason
from schemas.verdict import ModelName, Verdict
from tests.examples import examples, expected_reason, headers, octets
from worker.decode import decode
from worker.messages import Outgoing, Partition, Read, Record, Reject
from worker.publish import Publisher

PUBLISHER = Publisher(
    "tuwen.verdicts", 4, "tuwen.dead-letters", ModelName("demo", "20260101-1", "soft-voting"), "ab"
)
DECODES = {
    Reason.MALFORMED_JSON,
    Reason.NOT_AN_OBJECT,
    Reason.MISSING_ID,
    Reason.WRONG_TYPE,
    Reason.OUT_OF_RANGE,
    Reason.TEXT_TOO_LONG,
    Reason.NO_CONTENT,
}


def record(value: bytes | None) -> Record:
    """A record of the posts' topic."""
    return Record(Partition("tuwen.posts", 2), 4711, b"key", value, (), 1_767_225_600_000)


@pytest.mark.parametrize("example", examples("tuwen.posts", "good"), ids=lambda path: path.stem)
def test_a_good_post_is_read(example: Path) -> None:
    """Every good example is a post."""
    assert isinstance(decode(record(example.read_bytes())), Read)


@pytest.mark.parametrize("example", examples("tuwen.posts", "bad"), ids=lambda path: path.stem)
def test_a_bad_post_is_rejected_for_the_reason_in_its_name(example: Path) -> None:
    """Every bad example is rejected, and for the reason that its file's name begins with."""
    outcome = decode(record(example.read_bytes()))
    assert isinstance(outcome, Reject)
    assert outcome.reason == expected_reason(example)


def test_every_reason_that_decoding_gives_has_a_bad_example() -> None:
    """Who wonders what a reason means finds a post that has it."""
    assert {expected_reason(example) for example in examples("tuwen.posts", "bad")} == DECODES


@pytest.mark.parametrize("example", examples("tuwen.verdicts", "good"), ids=lambda path: path.stem)
def test_a_good_verdict_is_read_and_keeps_what_verdicts_promise(example: Path) -> None:
    """A label has the highest score, scores sum to 1, and what is missing is not used."""
    verdict = msgspec.json.decode(example.read_bytes(), type=Verdict)
    best = max(verdict.scores, key=lambda label: verdict.scores[label])
    assert verdict.label in {best, None}
    assert sum(verdict.scores.values()) == pytest.approx(1)
    assert (verdict.missing is None) == (len(verdict.used) == 2)


def test_a_verdict_without_a_label_has_its_example() -> None:
    """Whoever reads verdicts must expect null there."""
    good = [msgspec.json.decode(e.read_bytes()) for e in examples("tuwen.verdicts", "good")]
    assert [verdict["label"] for verdict in good].count(None) == 1


@pytest.mark.parametrize("example", examples("tuwen.verdicts", "bad"), ids=lambda path: path.stem)
def test_a_bad_verdict_is_refused(example: Path) -> None:
    """A consumer that reads by the type sees what is wrong."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(example.read_bytes(), type=Verdict)


@pytest.mark.parametrize(
    "example", examples("tuwen.dead-letters", "good"), ids=lambda path: path.stem
)
def test_a_dead_letter_is_what_its_example_shows(example: Path) -> None:
    """The example holds a record, and the dead letter that the worker makes of it."""
    shown = msgspec.json.decode(example.read_bytes())
    was, became = shown["record"], shown["dead_letter"]
    source = Record(
        Partition("tuwen.posts", was["partition"]),
        was["offset"],
        octets(was["key"]),
        octets(was["value"]),
        headers(was["headers"]),
        was["timestamp_ms"],
    )
    added = failure(headers(became["headers"]))
    assert added is not None
    outcome = decode(source)
    if isinstance(outcome, Read):
        outcome = Reject(source, Reason(added.reason), added.detail)
    assert PUBLISHER.dead_letter(outcome).outgoing == Outgoing(
        "tuwen.dead-letters",
        None,
        octets(became["key"]),
        octets(became["value"]),
        headers(became["headers"]),
        became["timestamp_ms"],
    )
    assert split(headers(became["headers"]))[0] == source.headers
    assert (added.partition, added.offset) == (2, source.offset)


@pytest.mark.parametrize(
    "example", examples("tuwen.dead-letters", "bad"), ids=lambda path: path.stem
)
def test_what_is_no_dead_letter_of_tuwen_is_not_read_as_one(example: Path) -> None:
    """Headers that are missing, or another tool's, give no failure."""
    shown = msgspec.json.decode(example.read_bytes())
    assert failure(headers(shown["dead_letter"]["headers"])) is None
