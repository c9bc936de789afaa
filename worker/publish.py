"""Turn scores into the verdict's record, and a reject into the dead letter's.

Both carry the key, the headers and the timestamp of the record they answer. Nothing is sent
here.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from schemas import dead_letter
from schemas.reasons import Reason
from schemas.verdict import Modality, ModelName, Source, Verdict
from worker.messages import Fetched, Headers, Outcome, Outgoing, Record, Reject

SUM_TOLERANCE: Final = 1e-3
"""How far from 1 the sum of scores may be: float32 over thousands of labels, but no NaN."""

_STAGES: Final = {
    Reason.NO_IMAGE: "fetch",
    Reason.NO_TEXT: "fetch",
    Reason.IMAGE_SCHEME_UNKNOWN: "fetch",
    Reason.IMAGE_SCHEME_OFF: "fetch",
    Reason.IMAGE_REFERENCE_INVALID: "fetch",
    Reason.IMAGE_ADDRESS_FORBIDDEN: "fetch",
    Reason.IMAGE_HOST_UNAVAILABLE: "fetch",
    Reason.IMAGE_TIMEOUT: "fetch",
    Reason.IMAGE_NOT_FOUND: "fetch",
    Reason.IMAGE_UNREADABLE: "fetch",
    Reason.IMAGE_TOO_LARGE: "fetch",
    Reason.IMAGE_TOO_MANY_PIXELS: "decode-image",
    Reason.IMAGE_FORMAT_UNKNOWN: "decode-image",
    Reason.IMAGE_DAMAGED: "decode-image",
    Reason.IMAGE_NEEDS_TOO_MUCH_MEMORY: "decode-image",
    Reason.IMAGE_DECODING_TOO_SLOW: "decode-image",
    Reason.IMAGE_DECODER_CRASHED: "decode-image",
    Reason.MODALITY_UNUSED: "features",
    Reason.POISON: "inference",
    Reason.VERDICT_TOO_LARGE: "publish",
}


class Publisher:
    """Knows the topics and the model, and makes one outcome of each source record.

    `partitions` is the count that the posts' and the verdicts' topic share, 0 where they differ:
    a verdict keeps its post's partition number below it, else the client chooses by the key.
    A verdict whose highest score is below `abstain_below` has no label.
    """

    def __init__(
        self,
        verdicts_topic: str,
        partitions: int,
        dead_letters_topic: str,
        model: ModelName,
        labels: Sequence[str],
        abstain_below: float = 0.0,
    ) -> None:
        self._verdicts_topic = verdicts_topic
        self._partitions = partitions
        self._dead_letters_topic = dead_letters_topic
        self._model = model
        self._labels = tuple(labels)
        self._abstain_below = abstain_below
        self._encode = msgspec.json.Encoder().encode

    def verdict(
        self,
        fetched: Fetched,
        scores: NDArray[np.float32],
        used: tuple[Modality, ...],
        missing: Reason | None,
    ) -> Outcome:
        """Give the label of the highest of `scores` float32[K], the first of equals, if any.

        Raises:
            ValueError: the scores are no probabilities.
        """
        record = fetched.record
        probabilities: list[float] = scores.tolist()
        # NaN compares false with everything, so it is caught here too.
        if not abs(sum(probabilities) - 1.0) <= SUM_TOLERANCE:
            raise ValueError(_no_probabilities(self._model, record))
        confidence = max(probabilities)
        sure = confidence >= self._abstain_below
        label = self._labels[probabilities.index(confidence)] if sure else None
        source = record.partition
        verdict = Verdict(
            fetched.post.id,
            label,
            dict(zip(self._labels, probabilities, strict=True)),
            used,
            missing,
            self._model,
            Source(source.topic, source.number, record.offset),
        )
        outgoing = Outgoing(
            self._verdicts_topic,
            source.number if source.number < self._partitions else None,
            record.key,
            self._encode(verdict),
            record.headers,
            record.timestamp_ms,
        )
        return Outcome(record, outgoing, label, confidence, missing)

    def dead_letter(self, reject: Reject) -> Outcome:
        """Pass the record on byte for byte, the reason in headers after its own."""
        record = reject.record
        outgoing = Outgoing(
            self._dead_letters_topic,
            None,
            record.key,
            record.value,
            record.headers + self._why(reject),
            record.timestamp_ms,
        )
        return Outcome(record, outgoing, None, None, reject.reason)

    def shrinking(self, outcome: Outcome) -> Iterator[Outcome]:
        """Give the outcome, then what stands for it where the broker finds it too large.

        A verdict that does not fit becomes a dead letter. Of a dead letter that does not fit (its
        added headers made it larger than its record, or its record came compressed) the value
        goes first, then the key, the record's own headers last; where all of it lies stays.
        """
        yield outcome
        if outcome.confidence is not None:
            detail = f"a verdict of {len(outcome.outgoing.value or b'')} bytes"
            reject = Reject(outcome.source, Reason.VERDICT_TOO_LARGE, detail)
            outcome = self.dead_letter(reject)
            yield outcome
        letter = outcome.outgoing
        added = letter.headers[len(outcome.source.headers) :]
        for omitted, key, headers in (
            (b"value", letter.key, letter.headers),
            (b"key and value", None, letter.headers),
            (b"key, value and headers", None, added),
        ):
            said = (*headers, (dead_letter.OMITTED, omitted))
            yield replace(outcome, outgoing=replace(letter, key=key, value=None, headers=said))

    def _why(self, reject: Reject) -> Headers:
        """Tell where the record was, what went wrong with it, and under which model."""
        partition, offset = reject.record.partition, reject.record.offset
        detail = reject.detail[: dead_letter.DETAIL_CHARACTERS_MAX]
        facts = {
            dead_letter.CONNECT_TOPIC: partition.topic,
            dead_letter.CONNECT_PARTITION: str(partition.number),
            dead_letter.CONNECT_OFFSET: str(offset),
            dead_letter.CONNECT_NAME: "tuwen",
            dead_letter.CONNECT_TASK: "0",
            dead_letter.CONNECT_STAGE: reject.stage or _STAGES.get(reject.reason, "decode"),
            dead_letter.CONNECT_MESSAGE: f"{reject.reason}: {detail}",
            dead_letter.REASON: reject.reason,
            dead_letter.DETAIL: detail,
            dead_letter.MODEL: f"{self._model.name} {self._model.version}",
        }
        # A file name in a detail may hold what UTF-8 cannot say.
        return tuple((name, fact.encode("utf-8", "replace")) for name, fact in facts.items())


def _no_probabilities(model: ModelName, record: Record) -> str:
    return (
        f"model {model.name} {model.version} gave scores that are no probabilities for "
        f"{record.partition.topic}/{record.partition.number} offset {record.offset}: "
        "check the bundle with `tuwen bundle check`"
    )
