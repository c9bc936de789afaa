"""A corpus's half through a bundle: its rows enter, what a worker would say of each leaves."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.progress import Progress
from schemas.verdict import ModelName
from train.rows import Half, place, read_fields, row_of
from tuwen.classification import Stages, record
from tuwen.failures import Failed
from tuwen.sending import CorpusRow, post_of
from worker.decode import decode
from worker.messages import Outcome, Read, Reject


@dataclass(frozen=True, slots=True)
class LabelledPost:
    """A row as a worker reads it, and the name of its label; `where` it stands."""

    id: str
    post: Read | Reject
    label: str
    where: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What a bundle says of each row, in their order, and how long it took for all of them."""

    model: ModelName
    labels: tuple[str, ...]
    found: tuple[Outcome | Reject, ...]
    seconds: float
    cpu_s: float

    @property
    def named(self) -> str:
        """The bundle's name and version."""
        return f"{self.model.name} {self.model.version}"


def read_half(corpus: Path, half: Half) -> tuple[LabelledPost, ...]:
    """The rows of a half as posts, their images relative to the corpus's folder.

    Raises:
        CorpusError: there is no such half, it is empty, or a row cannot be read.
    """
    posts = []
    for number, fields in read_fields(corpus, half):
        row = row_of(fields, place(corpus, half, number))
        post = decode(record(post_of(CorpusRow(row.id, row.text, row.image))))
        label = fields.label_name or str(fields.label)
        posts.append(LabelledPost(row.id, post, label, f"{corpus / half}.jsonl line {number}"))
    return tuple(posts)


def check_labels(stages: Stages, rows: Sequence[LabelledPost]) -> None:
    """Raises Failed when a row's label is none that the bundle knows; it names the first."""
    for row in rows:
        if row.label not in stages.labels:
            raise Failed(
                f"{row.where}: label {row.label!r} is none that {stages.model.name} "
                f"{stages.model.version} knows ({', '.join(stages.labels)}): name the corpus that "
                "it was made for, or correct the row's label_name"
            )


def answer(stages: Stages, rows: Sequence[LabelledPost], batch: int, progress: Progress) -> Answers:
    """Classify the rows in batches."""
    step = f"{stages.model.name} {stages.model.version}"
    found: list[Outcome | Reject] = []
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    for start in range(0, len(rows), batch):
        found += stages.classify(row.post for row in rows[start : start + batch])
        progress(step, len(found), len(rows))
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    return Answers(stages.model, stages.labels, tuple(found), seconds, cpu_s)
