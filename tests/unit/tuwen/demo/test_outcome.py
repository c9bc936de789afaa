from collections.abc import Iterator, Sequence

import msgspec
import pytest

from schemas import dead_letter
from schemas.reasons import Reason
from schemas.verdict import Modality, ModelName, Source, Verdict
from tuwen.demo import outcome
from tuwen.demo.outcome import ReadBack, accuracy, bad_table, judge, read_back
from tuwen.demo.posts import DemoPost
from worker.messages import Partition, Record

MODEL = ModelName("demo", "1", "soft-voting")


def verdict_record(own: str, label: str, used: tuple[Modality, ...], offset: int) -> Record:
    """A verdict as it lies on the topic."""
    missing = None if len(used) == 2 else Reason.NO_IMAGE
    verdict = Verdict(own, label, {label: 1.0}, used, missing, MODEL, Source("posts", 0, offset))
    value = msgspec.json.encode(verdict)
    return Record(Partition("verdicts", 0), offset, own.encode(), value, (), 0)


def letter_record(own: str, offset: int) -> Record:
    """A dead letter as it lies on the topic."""
    headers = (
        (dead_letter.CONNECT_TOPIC, b"posts"),
        (dead_letter.CONNECT_PARTITION, b"0"),
        (dead_letter.CONNECT_OFFSET, str(offset).encode()),
        (dead_letter.CONNECT_STAGE, b"decode"),
        (dead_letter.REASON, b"malformed-json"),
        (dead_letter.DETAIL, b"x"),
        (dead_letter.MODEL, b"demo"),
    )
    return Record(Partition("letters", 0), 7, own.encode(), b"{", headers, 0)


POSTS = [
    DemoPost("a", "{}", "x", "积极"),
    DemoPost("b", "{}", "x", "积极"),
    DemoPost("c", "{}", "x", "消极"),
    DemoPost("d", "{", kind="broken JSON", fate="dead letter"),
    DemoPost("e", "{}", kind="image: missing", fate="degrades"),
]
ALL = [
    verdict_record("a", "积极", ("text", "image"), 0),
    verdict_record("b", "消极", ("text", "image"), 1),
    verdict_record("c", "消极", ("text",), 2),
    letter_record("d", 3),
    verdict_record("e", "积极", ("text",), 4),
]


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> ReadBack:
    """All answers, read back."""

    def read_all(_servers: str, _topics: Sequence[str]) -> Iterator[Record]:
        yield from ALL

    monkeypatch.setattr(outcome, "read_all", read_all)
    return read_back("somewhere", "verdicts", "letters")


def test_what_is_read_back_reconciles_by_id_and_by_source(found: ReadBack) -> None:
    """A dead letter's id is its key, for its value may be anything."""
    reconciled = judge(POSTS, found)

    assert reconciled.holds
    assert (reconciled.verdicts, reconciled.dead_letters) == (4, 1)
    assert {answer.source for answer in found.answers} == {
        Source("posts", 0, offset) for offset in range(5)
    }


def test_accuracy_is_counted_by_what_was_used(found: ReadBack) -> None:
    """Posts without a truth count nowhere."""
    assert accuracy(POSTS, found) == {"text and image": (1, 2), "text": (1, 1)}


def test_the_fate_of_each_bad_kind_is_told(found: ReadBack) -> None:
    """With the reason that the answer gives."""
    assert bad_table(POSTS, found) == [
        ("broken JSON", "1 dead letter", "malformed-json"),
        ("image: missing", "1 degraded", "no-image"),
    ]


def test_a_bad_post_without_an_answer_is_lost() -> None:
    """Rather than left out of the table."""
    assert bad_table(POSTS[3:4], ReadBack()) == [("broken JSON", "1 nothing", "lost")]
