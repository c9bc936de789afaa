"""Classify posts without Kafka, through the very stages that a worker has."""

import re
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import asdict, replace

from features.images import ImageLimits
from inference.bundle import load
from inference.classifier import Classifier
from inference.explaining import Why, explain
from schemas.manifest import ImageInput, Manifest
from schemas.post import Post
from schemas.verdict import ModelName, Verdict
from tuwen.failures import Failed
from worker.decode import decode
from worker.fetch import Fetcher
from worker.image_failures import image_failures
from worker.images.configured import configured_source
from worker.images.decoder import InProcessDecoder
from worker.images.file import reference_to
from worker.images.sources import Unwatched
from worker.messages import Fetched, Later, Outcome, Partition, Read, Record, Reject
from worker.publish import Publisher
from worker.settings import WorkerSettings

NOWHERE: Final = Partition("", 0)
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_VERDICT: Final = msgspec.json.Decoder(Verdict)


class ExplainedVerdict(Verdict, frozen=True, gc=False):
    """A verdict, and why it bears its label; where it bears none, why the likeliest."""

    why: Why


_EXPLAINED: Final = msgspec.json.Decoder(ExplainedVerdict)


class Stages:
    """A bundle behind the stages of a worker that has these settings.

    Raises BundleError, BadRules.
    """

    def __init__(self, bundle: Path, settings: WorkerSettings) -> None:
        self._classifier = Classifier(load(bundle))
        manifest = self._classifier.manifest
        self.labels: Final = manifest.labels
        self.model: Final = ModelName(manifest.name, manifest.version, manifest.strategy)
        self._modalities = manifest.modalities
        self._fetcher = _fetcher(manifest, settings)
        self._publisher = Publisher("", 0, "", self.model, manifest.labels, settings.abstain_below)

    def classify(self, reads: Iterable[Read | Reject]) -> list[Outcome | Reject]:
        """A batch of posts to their verdicts, or why one has none; in the order of the posts."""
        given = list(reads)
        answers = self._fetcher.fetch([post for post in given if isinstance(post, Read)])
        # Nobody has time here for an image that may be had later.
        fetched = iter(a.otherwise if isinstance(a, Later) else a for a in answers)
        posts = [next(fetched) if isinstance(post, Read) else post for post in given]
        outcomes = iter(self._outcomes([post for post in posts if isinstance(post, Fetched)]))
        return [next(outcomes) if isinstance(post, Fetched) else post for post in posts]

    def _outcomes(self, posts: Sequence[Fetched]) -> list[Outcome]:
        if not posts:
            return []
        texts = [each.post.text if each.post.has_text else None for each in posts]
        found = self._classifier.classify(texts, [each.pixels for each in posts])
        return [
            self._publisher.verdict(
                each,
                scores,
                tuple(name for name, here in zip(self._modalities, present, strict=True) if here),
                each.missing,
            )
            for each, scores, present in zip(
                posts, found.scores, found.present.tolist(), strict=True
            )
        ]


class ExplainingStages(Stages):
    """The same, and what they publish is an `ExplainedVerdict`. A post costs many times as much."""

    def _outcomes(self, posts: Sequence[Fetched]) -> list[Outcome]:
        outcomes = zip(super()._outcomes(posts), posts, strict=True)
        return [self._explained(outcome, post) for outcome, post in outcomes]

    def _explained(self, outcome: Outcome, post: Fetched) -> Outcome:
        text = post.post.text if post.post.has_text else None
        why = explain(self._classifier, text, post.pixels)
        verdict = ExplainedVerdict(**asdict(verdict_of(outcome)), why=why)
        outgoing = replace(outcome.outgoing, value=msgspec.json.encode(verdict))
        return replace(outcome, outgoing=outgoing)


def verdict_of(outcome: Outcome) -> Verdict:
    """The verdict that an outcome publishes."""
    return _VERDICT.decode(outcome.outgoing.value or b"")


def record(value: bytes, partition: Partition = NOWHERE, offset: int = 0) -> Record:
    """What Kafka would hold of a post that it never saw."""
    return Record(partition, offset, None, value, (), time.time_ns() // 1_000_000)


def classify(bundle: Path, post: Post, settings: WorkerSettings) -> Verdict:
    """Give the verdict that a worker with these settings would give.

    Raises:
        Failed: the post cannot be labelled; it says why, as a dead letter would.
        BundleError: the bundle cannot be used.
    """
    return verdict_of(_outcome(Stages(bundle, settings), post))


def classify_and_explain(bundle: Path, post: Post, settings: WorkerSettings) -> ExplainedVerdict:
    """The same verdict, and why. Raises what `classify` does."""
    outcome = _outcome(ExplainingStages(bundle, settings), post)
    return _EXPLAINED.decode(outcome.outgoing.value or b"")


def _outcome(stages: Stages, post: Post) -> Outcome:
    [outcome] = stages.classify([decode(record(msgspec.json.encode(post)))])
    match outcome:
        case Reject(_, reason, detail):
            raise Failed(f"the post cannot be classified: {reason}: {detail}")
        case Outcome():
            return outcome


def _fetcher(manifest: Manifest, settings: WorkerSettings) -> Fetcher:
    limits = ImageLimits(settings.image_bytes_max, settings.image_pixels_max)
    # A model without images asks for none: any size will do.
    decoder = InProcessDecoder(manifest.image or ImageInput(1, 1), limits)
    # What it may start for images of the network ends with the command.
    source = configured_source(settings, Unwatched(), ExitStack()).images
    return Fetcher(source, decoder, manifest.modalities, image_failures(settings.on_image_failure))


def rooted(image: str | None, settings: WorkerSettings) -> tuple[str | None, WorkerSettings]:
    """Let a path of this machine stand for a reference: its folder becomes the image root.

    Raises:
        Failed: it is no reference, and no file either.
    """
    if not image or SCHEME.match(image):
        return image, settings
    path = Path(image).resolve()
    if not path.is_file():
        raise Failed(f"there is no image {image}: name a file, or a file: or data: reference")
    root = {"image_root": path.parent}
    return reference_to(path.name), settings.model_copy(update=root)
