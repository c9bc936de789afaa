"""Classify one post without Kafka, through the very stages that a worker has."""

import re
import time
from pathlib import Path
from typing import Final

import msgspec

from features.images import ImageLimits
from inference.bundle import load
from inference.classifier import Classifier
from schemas.manifest import ImageInput, Manifest
from schemas.post import Post
from schemas.verdict import Modality, ModelName, Verdict
from tuwen.failures import Failed
from worker.decode import decode
from worker.fetch import Fetcher
from worker.images.data_url import DataSource
from worker.images.decoder import InProcessDecoder
from worker.images.file import FileSource, reference_to
from worker.images.sources import ImageSource, SourcesByScheme
from worker.messages import Fetched, Partition, Read, Record, Reject
from worker.publish import Publisher
from worker.settings import WorkerSettings

NOWHERE: Final = Partition("", 0)
SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def classify(bundle: Path, post: Post, settings: WorkerSettings) -> Verdict:
    """Give the verdict that a worker with these settings would give.

    Raises:
        Failed: the post cannot be labelled; it says why, as a dead letter would.
        BundleError: the bundle cannot be used.
    """
    classifier = Classifier(load(bundle))
    manifest = classifier.manifest
    fetched = _fetched(post, _fetcher(manifest, settings))
    scores = classifier.classify([fetched.post.text if post.has_text else None], [fetched.pixels])
    used: tuple[Modality, ...] = tuple(
        modality
        for modality, present in zip(manifest.modalities, scores.present[0], strict=True)
        if present
    )
    model = ModelName(manifest.name, manifest.version, manifest.strategy)
    publisher = Publisher("", 0, "", model, manifest.labels, settings.abstain_below)
    outcome = publisher.verdict(fetched, scores.scores[0], used, fetched.missing)
    return msgspec.json.decode(outcome.outgoing.value or b"", type=Verdict)


def _fetcher(manifest: Manifest, settings: WorkerSettings) -> Fetcher:
    sources: dict[str, ImageSource] = {
        "file": FileSource(settings.image_root, settings.image_bytes_max),
        "data": DataSource(settings.image_bytes_max),
    }
    limits = ImageLimits(settings.image_bytes_max, settings.image_pixels_max)
    # A model without images asks for none: any size will do.
    decoder = InProcessDecoder(manifest.image or ImageInput(1, 1), limits)
    source = SourcesByScheme(sources)
    return Fetcher(source, decoder, manifest.modalities, settings.on_image_failure)


def _fetched(post: Post, fetcher: Fetcher) -> Fetched:
    value = msgspec.json.encode(post)
    record = Record(NOWHERE, 0, post.id.encode(), value, (), time.time_ns() // 1_000_000)
    match decode(record):
        case Reject(_, reason, detail):
            raise Failed(f"the post cannot be classified: {reason}: {detail}")
        case Read() as read:
            pass
    match fetcher.fetch([read])[0]:
        case Reject(_, reason, detail):
            raise Failed(f"the post cannot be classified: {reason}: {detail}")
        case Fetched() as fetched:
            return fetched


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
