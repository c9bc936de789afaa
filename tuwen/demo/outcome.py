"""Read back what came of the posts with a consumer of its own, and sum it up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.dead_letter import failure
from schemas.verdict import Source, Verdict
from tuwen.demo.posts import DemoPost
from tuwen.demo.reconcile import Answer, Reconciliation, reconcile
from tuwen.kafka_client import read_all
from worker.messages import Record


@dataclass(slots=True)
class ReadBack:
    """All verdicts and dead letters, as a fresh read_committed consumer found them."""

    answers: list[Answer] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    """Of dead letters, by id."""


def read_back(servers: str, verdicts_topic: str, dead_letters_topic: str) -> ReadBack:
    """Read both topics from their beginning."""
    found = ReadBack()
    for record in read_all(servers, [verdicts_topic, dead_letters_topic]):
        if record.partition.topic == verdicts_topic:
            _add_verdict(found, record)
        else:
            _add_dead_letter(found, record)
    return found


def _add_verdict(found: ReadBack, record: Record) -> None:
    verdict = msgspec.json.decode(record.value or b"", type=Verdict)
    found.verdicts[verdict.id] = verdict
    found.answers.append(Answer(verdict.id, verdict.source, "verdict"))


def _add_dead_letter(found: ReadBack, record: Record) -> None:
    # The key is the id, which the value of a broken post may not tell.
    own = (record.key or b"").decode("utf-8", "replace")
    why = failure(record.headers)
    source = (
        Source("", -1, record.offset)
        if why is None
        else Source(why.topic, why.partition, why.offset)
    )
    found.reasons[own] = "unknown" if why is None else why.reason
    found.answers.append(Answer(own, source, "dead letter"))


def judge(posts: Sequence[DemoPost], found: ReadBack) -> Reconciliation:
    """Hold the answers against the posts."""
    rejected = [post.id for post in posts if post.rejected]
    return reconcile([post.id for post in posts], rejected, found.answers)


def accuracy(posts: Sequence[DemoPost], found: ReadBack) -> Mapping[str, tuple[int, int]]:
    """Count right verdicts and all, by what the verdict used: text, image, text and image."""
    counts: dict[str, tuple[int, int]] = {}
    for post in posts:
        verdict = found.verdicts.get(post.id)
        if verdict is None or post.truth is None:
            continue
        used = " and ".join(verdict.used)
        right, all_ = counts.get(used, (0, 0))
        counts[used] = (right + (verdict.label == post.truth), all_ + 1)
    return counts


def bad_table(posts: Sequence[DemoPost], found: ReadBack) -> Sequence[tuple[str, str, str]]:
    """List each kind of bad post: the kind, what became of those of the kind, and why."""
    fates: dict[str, Counter[str]] = {}
    reasons: dict[str, set[str]] = {}
    for post in posts:
        if post.kind is not None:
            fate, reason = _fate(post, found)
            fates.setdefault(post.kind, Counter())[fate] += 1
            reasons.setdefault(post.kind, set()).add(reason)
    return [
        (kind, _counted(fates[kind]), ", ".join(sorted(reasons[kind]))) for kind in sorted(fates)
    ]


def _fate(post: DemoPost, found: ReadBack) -> tuple[str, str]:
    verdict = found.verdicts.get(post.id)
    if verdict is not None:
        return "degraded", str(verdict.missing)
    reason = found.reasons.get(post.id)
    return ("nothing", "lost") if reason is None else ("dead letter", reason)


def _counted(fates: Counter[str]) -> str:
    return ", ".join(
        f"{count} {fate}{'s' * (fate == 'dead letter' and count > 1)}"
        for fate, count in sorted(fates.items(), reverse=True)
    )
