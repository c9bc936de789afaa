"""The verdict, as the worker writes it on the topic `tuwen.verdicts`."""

from typing import Literal

import msgspec

from schemas.reasons import Reason

Modality = Literal["text", "image"]


class ModelName(msgspec.Struct, frozen=True, gc=False):
    """Which bundle gave the verdict."""

    name: str
    version: str
    strategy: str


class Source(msgspec.Struct, frozen=True, gc=False):
    """The record that the verdict answers: one verdict or dead letter for each."""

    topic: str
    partition: int
    offset: int


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """The label of one post, with the probability of each label that the bundle knows.

    `scores` sums to 1 within float32; `label` is its argmax, the first in the bundle's
    order winning a tie, or null where the highest is below what the workers were told to
    abstain below. `missing` is null when both modalities were used.
    """

    id: str
    label: str | None
    scores: dict[str, float]
    used: tuple[Modality, ...]
    missing: Reason | None
    model: ModelName
    source: Source
