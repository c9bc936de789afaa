"""Many posts through the stages: a line for each verdict, a reject for each other, and a count."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from schemas.reasons import Reason
from schemas.verdict import Source
from tuwen.classification import Stages
from worker.messages import Outcome, Read, Reject
from worker.settings import WorkerSettings

TEXT_BYTES_MAX: Final = 1 << 20
"""Of a line, besides its image: room for the longest text, however it is escaped."""


class Rejected(msgspec.Struct, frozen=True):
    """A post that got no verdict, and why; its line is the offset of its source."""

    source: Source
    reason: Reason
    detail: str


@dataclass(slots=True)
class Counts:
    """What became of the posts so far; `missing` counts verdicts that lack a modality."""

    labelled: int = 0
    abstained: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    @property
    def posts(self) -> int:
        """Verdicts and rejects."""
        return self.labelled + self.abstained + self.rejected.total()

    def add(self, outcomes: Iterable[Outcome | Reject]) -> None:
        """Count a batch."""
        for outcome in outcomes:
            if isinstance(outcome, Reject):
                self.rejected[str(outcome.reason)] += 1
                continue
            self.abstained += outcome.label is None
            self.labelled += outcome.label is not None
            if outcome.reason is not None:
                self.missing[str(outcome.reason)] += 1

    def words(self) -> Iterator[str]:
        """Say it, as parts of a sentence."""
        yield f"{self.labelled:,} labelled"
        if self.abstained:
            yield f"{self.abstained:,} without a label"
        if self.rejected:
            yield f"{self.rejected.total():,} rejected ({_by_reason(self.rejected)})"
        if self.missing:
            yield f"{self.missing.total():,} from one modality alone ({_by_reason(self.missing)})"


def classify_all(
    stages: Stages,
    batches: Iterable[Sequence[Read | Reject]],
    verdicts: Callable[[bytes], object],
    rejects: Callable[[Rejected], None],
    counted: Callable[[Counts], None],
) -> Counts:
    """Write every verdict as a line of JSON, batch by batch, in the order of the posts."""
    counts = Counts()
    for batch in batches:
        outcomes = stages.classify(batch)
        lines = [o.outgoing.value or b"" for o in outcomes if isinstance(o, Outcome)]
        if lines:
            verdicts(b"\n".join((*lines, b"")))
        for outcome in outcomes:
            if isinstance(outcome, Reject):
                rejects(rejected(outcome))
        counts.add(outcomes)
        counted(counts)
    return counts


def rejected(reject: Reject) -> Rejected:
    """What is written of a reject."""
    where = reject.record
    source = Source(where.partition.topic, where.partition.number, where.offset)
    return Rejected(source, reject.reason, reject.detail)


def line_bytes_max(settings: WorkerSettings) -> int:
    """The longest line that is read: base64 makes four bytes of three, JSON may escape some."""
    return 2 * settings.image_bytes_max + TEXT_BYTES_MAX


def _by_reason(counts: Counter[str]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
