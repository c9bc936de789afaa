from typing import get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas import dead_letter
from schemas.post import Post
from schemas.reasons import Reason
from schemas.verdict import Modality, ModelName, Source, Verdict
from worker.messages import Fetched, Outcome, Outgoing, Partition, Record, Reject
from worker.publish import _STAGES, Publisher

MODEL = ModelName("demo", "7", "soft-voting")
LABELS = ("积极", "中性", "消极")
PIXELS = np.zeros((1, 1, 3), np.uint8)
BOTH: tuple[Modality, ...] = get_args(Modality)
TRACE = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")

octets = st.none() | st.binary(max_size=40)
names = st.binary(max_size=20) | st.sampled_from(
    [dead_letter.CONNECT_TOPIC, dead_letter.REASON, dead_letter.DETAIL]
)
records = st.builds(
    Record,
    partition=st.builds(Partition, topic=st.just("tuwen.posts"), number=st.integers(0, 99)),
    offset=st.integers(0, 2**63 - 1),
    key=octets,
    value=octets,
    headers=st.lists(st.tuples(names, octets), max_size=6).map(tuple),
    timestamp_ms=st.integers(0, 2**41),
)
rejects = st.builds(
    Reject, record=records, reason=st.sampled_from(Reason), detail=st.text(max_size=700)
)


def publisher(partitions: int = 4, abstain_below: float = 0.0) -> Publisher:
    """A publisher of the demo's model."""
    return Publisher(
        "tuwen.verdicts", partitions, "tuwen.dead-letters", MODEL, LABELS, abstain_below
    )


def fetched(number: int = 2, key: bytes | None = b"key") -> Fetched:
    """A post whose image could be had."""
    partition = Partition("tuwen.posts", number)
    record = Record(partition, 4711, key, b"{}", (TRACE, (b"note", None)), 1_767_225_600_000)
    return Fetched(record, Post("post-1", "好", "file:1.jpg"), PIXELS, None)


def scores(*probabilities: float) -> NDArray[np.float32]:
    """One row as the classifier gives it."""
    return np.array(probabilities, np.float32)


def read(outcome: Outcome) -> Verdict:
    """The verdict as a consumer reads it."""
    return msgspec.json.decode(outcome.outgoing.value or b"", type=Verdict)


def test_a_verdict_says_all_that_is_promised() -> None:
    """Label, the score of each label, what was used, by which model, for which record."""
    outcome = publisher().verdict(fetched(), scores(0.25, 0.125, 0.625), BOTH, None)
    assert read(outcome) == Verdict(
        id="post-1",
        label="消极",
        scores={"积极": 0.25, "中性": 0.125, "消极": 0.625},
        used=("text", "image"),
        missing=None,
        model=MODEL,
        source=Source("tuwen.posts", 2, 4711),
    )
    assert (outcome.label, outcome.confidence, outcome.reason) == ("消极", 0.625, None)


def test_a_verdict_carries_what_its_post_carried() -> None:
    """Key, partition number, headers and timestamp are the producer's."""
    outcome = publisher().verdict(fetched(), scores(0.25, 0.125, 0.625), BOTH, None)
    post = fetched().record
    assert outcome.source == post
    assert outcome.outgoing == Outgoing(
        "tuwen.verdicts", 2, post.key, outcome.outgoing.value, post.headers, post.timestamp_ms
    )


def test_a_verdict_says_why_a_modality_is_missing() -> None:
    """A reader need not guess from what was used."""
    outcome = publisher().verdict(fetched(), scores(1, 0, 0), ("text",), Reason.IMAGE_NOT_FOUND)
    assert read(outcome).missing is Reason.IMAGE_NOT_FOUND
    assert read(outcome).used == ("text",)
    assert outcome.reason is Reason.IMAGE_NOT_FOUND


@pytest.mark.parametrize(("number", "expected"), [(0, 0), (3, 3), (4, None), (9, None)])
def test_a_partition_that_the_verdicts_do_not_have_is_left_to_the_client(
    number: int, expected: int | None
) -> None:
    """Partitions may be added to the posts while a worker runs."""
    outcome = publisher(4).verdict(fetched(number), scores(1, 0, 0), BOTH, None)
    assert outcome.outgoing.partition == expected


def test_where_the_counts_differ_the_client_chooses_by_the_key() -> None:
    """A number below both counts would be one post's partition by chance."""
    outcome = publisher(0).verdict(fetched(0), scores(1, 0, 0), BOTH, None)
    assert outcome.outgoing.partition is None


@given(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(any))
def test_the_first_of_equal_scores_gives_the_label(weights: list[int]) -> None:
    """As argmax over the bundle's order of labels."""
    row = np.array(weights, np.float32) / np.float32(sum(weights))
    outcome = publisher().verdict(fetched(), row, BOTH, None)
    assert outcome.label == LABELS[int(np.argmax(row))]
    assert read(outcome).label == outcome.label


def test_below_the_bound_a_verdict_has_scores_and_no_label() -> None:
    """Whoever reads it sees what the model would have said, and that it is not sure."""
    row = scores(0.25, 0.25, 0.5)
    outcome = publisher(abstain_below=0.625).verdict(fetched(), row, BOTH, None)
    assert (read(outcome).label, read(outcome).scores["消极"]) == (None, 0.5)
    assert (outcome.label, outcome.confidence, outcome.reason) == (None, 0.5, None)


@given(st.floats(0, 1), st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any))
def test_a_label_is_given_exactly_where_the_highest_score_is_not_below_the_bound(
    bound: float, weights: list[int]
) -> None:
    """By the scores that are published, so that a reader can draw the line again."""
    row = np.array(weights, np.float32) / np.float32(sum(weights))
    verdict = read(publisher(abstain_below=bound).verdict(fetched(), row, BOTH, None))
    assert (verdict.label is not None) == (max(verdict.scores.values()) >= bound)


@given(st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3).filter(lambda row: sum(row) > 0))
def test_scores_arrive_as_the_float32_they_were(weights: list[float]) -> None:
    """Nothing is rounded on the way: a reader may compare with the model's own numbers."""
    row = (np.array(weights, np.float64) / sum(weights)).astype(np.float32)
    outcome = publisher().verdict(fetched(), row, BOTH, None)
    sent = np.array([read(outcome).scores[label] for label in LABELS], np.float32)
    assert sent.tobytes() == row.tobytes()


@pytest.mark.parametrize(
    "row", [(np.nan, 0.5, 0.5), (np.inf, 0, 0), (0.9, 0.9, 0.9), (0, 0, 0)], ids=str
)
def test_scores_that_are_no_probabilities_are_the_models_fault(row: tuple[float, ...]) -> None:
    """They are raised, naming model and record; no consumer ever reads null for a score."""
    with pytest.raises(ValueError, match=r"model demo 7 .* tuwen.posts/2 offset 4711: check"):
        publisher().verdict(fetched(), scores(*row), BOTH, None)


def test_one_label_too_few_is_an_error() -> None:
    """A label is never taken for its neighbour."""
    with pytest.raises(ValueError, match="zip"):
        publisher().verdict(fetched(), scores(0.5, 0.5), BOTH, None)


@given(rejects)
def test_a_dead_letter_gives_its_record_back_byte_for_byte(reject: Reject) -> None:
    """Key, value, headers and timestamp, even where the record was a dead letter before."""
    outgoing = publisher().dead_letter(reject).outgoing
    own, _ = dead_letter.split(outgoing.headers)
    record = reject.record
    assert (outgoing.topic, outgoing.partition) == ("tuwen.dead-letters", None)
    assert (outgoing.key, outgoing.value, own, outgoing.timestamp_ms) == (
        record.key,
        record.value,
        record.headers,
        record.timestamp_ms,
    )


@given(rejects)
def test_a_dead_letter_says_which_record_it_was_and_why(reject: Reject) -> None:
    """Whatever headers the record had, the last ones are those of this failure."""
    outcome = publisher().dead_letter(reject)
    failure = dead_letter.failure(outcome.outgoing.headers)
    assert failure is not None
    assert failure.model == "demo 7"
    assert Partition(failure.topic, failure.partition) == reject.record.partition
    assert failure.offset == reject.record.offset
    assert failure.reason == reject.reason
    assert outcome == Outcome(reject.record, outcome.outgoing, None, None, reject.reason)


def test_a_long_detail_is_cut_and_an_impossible_one_replaced() -> None:
    """Headers stay small, and a file name that is not UTF-8 does not stop a worker."""
    reject = Reject(fetched().record, Reason.IMAGE_UNREADABLE, "\udcff" + "x" * 1000)
    failure = dead_letter.failure(publisher().dead_letter(reject).outgoing.headers)
    assert failure is not None
    assert failure.detail == "?" + "x" * (dead_letter.DETAIL_CHARACTERS_MAX - 1)


@pytest.mark.parametrize(
    ("reason", "stage"),
    [
        (Reason.MALFORMED_JSON, "decode"),
        (Reason.NO_CONTENT, "decode"),
        (Reason.IMAGE_SCHEME_OFF, "fetch"),
        (Reason.IMAGE_DAMAGED, "decode-image"),
        (Reason.MODALITY_UNUSED, "features"),
        (Reason.VERDICT_TOO_LARGE, "publish"),
    ],
)
def test_a_dead_letter_names_the_stage(reason: Reason, stage: str) -> None:
    """As Kafka Connect does, so that its tools can group by it."""
    outgoing = publisher().dead_letter(Reject(fetched().record, reason, "why")).outgoing
    headers = dict(outgoing.headers)
    assert headers[dead_letter.CONNECT_STAGE] == stage.encode()
    assert headers[dead_letter.CONNECT_MESSAGE] == f"{reason}: why".encode()


def test_what_no_other_stage_gives_is_given_by_decoding() -> None:
    """A new reason must be given its stage."""
    assert set(Reason) - set(_STAGES) == {
        Reason.MALFORMED_JSON,
        Reason.NOT_AN_OBJECT,
        Reason.MISSING_ID,
        Reason.WRONG_TYPE,
        Reason.OUT_OF_RANGE,
        Reason.TEXT_TOO_LONG,
        Reason.NO_CONTENT,
    }


def omissions(letters: list[Outcome]) -> list[tuple[bytes | None, bytes | None, bytes | None]]:
    """What of its record each has left: key, value, and the word for what is gone."""
    shown = [(letter.outgoing, dict(letter.outgoing.headers)) for letter in letters]
    return [(o.key, o.value, headers.get(dead_letter.OMITTED)) for o, headers in shown]


def test_a_verdict_that_does_not_fit_shrinks_to_a_dead_letter_and_then_to_its_place() -> None:
    """Each is tried when the broker finds the one before too large."""
    record = fetched().record
    outcome = publisher().verdict(fetched(), scores(1, 0, 0), BOTH, None)
    first, second, *smaller = publisher().shrinking(outcome)
    size = len(outcome.outgoing.value or b"")
    assert first == outcome
    assert second == publisher().dead_letter(
        Reject(record, Reason.VERDICT_TOO_LARGE, f"a verdict of {size} bytes")
    )
    assert omissions(smaller) == [
        (record.key, None, b"value"),
        (None, None, b"key and value"),
        (None, None, b"key, value and headers"),
    ]
    for letter in smaller:
        assert dead_letter.failure(letter.outgoing.headers) == dead_letter.failure(
            second.outgoing.headers
        )
        assert (letter.source, letter.reason) == (record, Reason.VERDICT_TOO_LARGE)


def test_the_headers_of_a_record_go_last_where_it_does_not_fit() -> None:
    """They are how a post is followed from system to system."""
    outcome = publisher().dead_letter(Reject(fetched().record, Reason.NO_CONTENT, ""))
    *_, value, key_and_value, everything = publisher().shrinking(outcome)
    own = [dead_letter.split(o.outgoing.headers)[0] for o in (value, key_and_value, everything)]
    assert own == [fetched().record.headers, fetched().record.headers, ()]
    assert fetched().record.headers


def test_a_verdict_without_a_label_shrinks_as_one_with_it() -> None:
    """It is no dead letter: its record would be lost for whoever looks why it has no label."""
    outcome = publisher(abstain_below=1).verdict(fetched(), scores(0.5, 0.5, 0), BOTH, None)
    reasons = [smaller.reason for smaller in publisher().shrinking(outcome)]
    assert reasons == [None, *[Reason.VERDICT_TOO_LARGE] * 4]


def test_a_dead_letter_that_does_not_fit_shrinks_to_its_place() -> None:
    """It keeps its own reason: what was too large is the dead letter, not the post."""
    outcome = publisher().dead_letter(Reject(fetched().record, Reason.NO_CONTENT, ""))
    first, second, *_ = publisher().shrinking(outcome)
    assert first == outcome
    assert second.outgoing.value is None
    failure = dead_letter.failure(second.outgoing.headers)
    assert failure is not None
    assert (failure.offset, failure.reason) == (4711, "no-content")
