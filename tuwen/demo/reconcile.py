"""Hold what was sent against what was answered: none lost, none twice, none that nobody sent."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.verdict import Source

Kind = Literal["verdict", "dead letter"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict or dead letter: the id of its post, and the record that it answers."""

    id: str
    source: Source
    kind: Kind


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The sum: counts, and the ids of what is wrong; it reconciles when no id is left."""

    sent: int
    verdicts: int
    dead_letters: int
    lost: Sequence[str]
    twice: Sequence[str]
    unsent: Sequence[str]
    """Answered though nobody sent it."""
    misjudged: Sequence[str]
    """A verdict where a dead letter was due, or the other way round."""

    @property
    def holds(self) -> bool:
        """Whether each post has exactly one answer, of the kind that was due."""
        return not (self.lost or self.twice or self.unsent or self.misjudged)

    @property
    def faults(self) -> Sequence[str]:
        """Say each thing that is wrong in one line."""
        named = (
            ("lost", self.lost),
            ("answered twice", self.twice),
            ("answered but never sent", self.unsent),
            ("answered by the wrong kind", self.misjudged),
        )
        return [f"{len(ids):,} {what}: {_some(ids)}" for what, ids in named if ids]


def reconcile(
    sent: Sequence[str], rejected: Collection[str], answers: Sequence[Answer]
) -> Reconciliation:
    """Hold the ids that were sent, each once, against the answers.

    Args:
        sent: the id of every post.
        rejected: the ids of those that must become dead letters.
        answers: all that a reader found, in any order.
    """
    known, due = set(sent), set(rejected)
    by_id = Counter(answer.id for answer in answers)
    by_source = Counter(answer.source for answer in answers)
    twice = {answer.id for answer in answers if by_id[answer.id] + by_source[answer.source] > 2}
    misjudged = {
        answer.id
        for answer in answers
        if answer.id in known and (answer.kind == "dead letter") != (answer.id in due)
    }
    kinds = Counter(answer.kind for answer in answers)
    return Reconciliation(
        sent=len(sent),
        verdicts=kinds["verdict"],
        dead_letters=kinds["dead letter"],
        lost=sorted(known - by_id.keys()),
        twice=sorted(twice),
        unsent=sorted(by_id.keys() - known),
        misjudged=sorted(misjudged),
    )


def _some(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - 5:,} more" if len(ids) > 5 else ""
    return ", ".join(ids[:5]) + more
