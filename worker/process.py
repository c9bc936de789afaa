"""Put one worker process together and run it until it is told to stop.

Settings and a slot enter; an exit code leaves: 0 stopped as told, 1 failed while it worked, 2
refused to start, with one line that says why, 3 ended since Kafka's client hung.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import BinaryIO, Final, Protocol

import msgspec
import structlog
from prometheus_client import (
    CollectorRegistry,
    ProcessCollector,
)

from features.images import ImageLimits
from inference.bundle import BundleError, load
from inference.classifier import Classifier
from schemas.manifest import ImageInput, Manifest
from schemas.verdict import ModelName
from worker import logs
from worker.children import Said
from worker.endpoints import Endpoints, Health, Pages, PortTaken
from worker.errors import BrokerError, SlotTaken
from worker.exit_codes import FAILED, HUNG, REFUSED, STOPPED, refuse
from worker.exposition import page
from worker.images import host_reports
from worker.images.child_decoder import ChildDecoder
from worker.images.configured import ConfiguredSource, configured_source
from worker.images.decoder import Decoder, InProcessDecoder
from worker.images.decoder_child.child import DecoderUnavailable, Ending, Needs
from worker.images.file import ImageRootError, open_root
from worker.images.host_reports import HostReport
from worker.images.sources import BadRules
from worker.kafka import kafka_python
from worker.kafka.broker import Broker
from worker.kafka.client_settings import ClientSettings
from worker.kafka.watched import WatchedBroker
from worker.metrics import Metrics
from worker.pipeline import Pipeline
from worker.publish import Publisher
from worker.secret_settings import WITH_SECRETS
from worker.settings import WorkerSettings
from worker.slots import claimed, slot_id
from worker.stopping import Stopping, end_at_once, heeding_signals
from worker.trial_child import Task, TrialChild
from worker.watchdog import Watchdog

QUESTION_S: Final = 5.0
"""How long the broker may take to answer a question at the start."""

TRIAL_S: Final = 30.0
"""How long the stages of a post that is tried alone may take, its image apart."""

CONNECT_S: Final = 60.0
"""How long a start may take to connect; its many questions all end long before."""

REFUSALS: Final = (
    *(BundleError, PortTaken, BrokerError),
    *(ImageRootError, BadRules, DecoderUnavailable),
)
"""What says that a worker cannot start as things are."""

Connect = Callable[[ClientSettings], Broker]


class Announcing(Protocol):
    """Who is told that the process serves its metrics, or that it refused to start."""

    def serving(self, host: str, port: int) -> None:
        """Metrics and health are on this port; the worker is about to join its group."""

    def refused(self, why: str) -> None:
        """The worker cannot start as things are; `why` is one line."""

    def taken(self, why: str) -> None:
        """The worker ends, since another process has taken its slot; `why` is one line."""


class OnStderr:
    """Tells the operator."""

    def serving(self, host: str, port: int) -> None:
        """Log where the metrics are."""
        structlog.get_logger().info("serving metrics", url=f"http://{host}:{port}/metrics")

    def refused(self, why: str) -> None:
        """Say why."""
        refuse(why)

    def taken(self, why: str) -> None:
        """Say why."""
        refuse(why)


class ToParent:
    """Tells the parent, which asked for it, in lines of JSON."""

    def __init__(self, lines: BinaryIO, slot: int | None = None) -> None:
        self._lines = lines
        self._slot = slot

    def serving(self, host: str, port: int) -> None:  # noqa: ARG002 - the parent chose the host.
        """Say where the parent finds the metrics."""
        self._say(Said(slot=self._slot, port=port))

    def refused(self, why: str) -> None:
        """Say why; the parent says it to the operator, once for all children."""
        self._say(Said(refused=why))

    def taken(self, why: str) -> None:
        """Say why, and that a new child in the same slot would only take it back."""
        self._say(Said(refused=why, taken=True))

    def _say(self, said: Said) -> None:
        self._lines.write(msgspec.json.encode(said) + b"\n")
        self._lines.flush()


def run(settings: WorkerSettings, slot: int, connect: Connect = kafka_python.connect) -> int:
    """Run a worker in this process, under the slot that its caller holds."""
    _collect_seldom()
    stopping = Stopping(settings.stop_timeout_s)
    with heeding_signals(stopping):
        return work(settings, slot, connect, stopping, settings.metrics_port, OnStderr())


def work(
    settings: WorkerSettings,
    slot: int,
    connect: Connect,
    stopping: Stopping,
    metrics_port: int | None,
    announcing: Announcing,
) -> int:
    """Put the worker together, run it, and give the exit code."""
    _keep_arenas_few()
    logs.configure(settings.log_format, settings.log_level, slot)
    with ExitStack() as closing:
        closing.callback(stopping.done)
        shown = Shown(settings, slot)
        try:
            endpoints = Endpoints(settings.metrics_host, metrics_port, shown.pages())
            closing.callback(endpoints.close)
            pipeline = assemble(shown, connect, closing)
        except REFUSALS as error:
            announcing.refused(str(error))
            return REFUSED
        shown.pipeline = pipeline
        announcing.serving(settings.metrics_host, endpoints.port)
        return _run(pipeline, stopping, announcing)


def _run(pipeline: Pipeline, stopping: Stopping, announcing: Announcing) -> int:
    try:
        pipeline.run(stopping.event)
    except SlotTaken as error:
        announcing.taken(str(error))
        return REFUSED
    except BrokerError as error:
        structlog.get_logger().error("the worker cannot go on", why=str(error))
        return FAILED
    except Exception:  # noqa: BLE001 - whatever it is, it becomes a log line and an exit code.
        structlog.get_logger().exception("a stage failed; nothing of its batch was committed")
        return FAILED
    structlog.get_logger().info("stopped")
    return STOPPED


@dataclass(slots=True)
class Shown:
    """What the endpoints show of a worker, from before it is put together until it has ended."""

    settings: WorkerSettings
    slot: int
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    pipeline: Pipeline | None = None
    worst_hosts: Callable[[], list[HostReport]] = list

    def pages(self) -> Pages:
        """All pages."""
        ProcessCollector(registry=self.registry)
        return Pages(
            lambda: page(self.registry, str(self.slot)),
            self.alive,
            self.ready,
            lambda: host_reports.page(self.worst_hosts()),
        )

    def alive(self) -> Health:
        """Say whether the worker still polls; if not for long, a restart is the cure."""
        stalled_s = self.pipeline.state().stalled_s if self.pipeline else 0.0
        if stalled_s * 1000 > self.settings.max_poll_interval_ms:
            return Health(False, f"has not polled for {stalled_s:.0f} s")
        return Health(True, "alive")

    def ready(self) -> Health:
        """Say whether the worker does its work; idle without a partition it is ready too."""
        if self.pipeline is None:
            return Health(False, "starting")
        state = self.pipeline.state()
        return Health(state.ready, state.reason or f"ready, {state.partitions} partitions")


def assemble(shown: Shown, connect: Connect, closing: ExitStack) -> Pipeline:
    """Load, connect and wire everything; what must be ended after the work goes to `closing`.

    Raises BundleError, BrokerError, ImageRootError, BadRules, DecoderUnavailable.
    """
    settings = shown.settings
    metrics = Metrics(shown.registry)
    equipment = equip(settings, metrics, closing)
    manifest = equipment.classifier.manifest
    metrics.model(manifest)
    shown.worst_hosts = equipment.source.worst_hosts
    broker = _connected(settings, shown.slot, connect, closing)
    try:
        partitions = _partitions(settings, broker)
    except BrokerError:
        broker.close(0.0, leave=False)
        raise
    task = Task(settings.model_dump_json(context=WITH_SECRETS), partitions)
    return Pipeline(
        broker,
        equipment.classifier,
        equipment.source.images,
        equipment.decoder,
        publisher(settings, manifest, partitions),
        settings,
        metrics,
        lambda: TrialChild(task, _trial_s(settings)),
    )


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the stages need besides Kafka."""

    classifier: Classifier
    source: ConfiguredSource
    decoder: Decoder


def equip(settings: WorkerSettings, metrics: Metrics, closing: ExitStack) -> Equipment:
    """Load the model, make image sources and decoder. Raises as `assemble`, but no BrokerError."""
    if settings.image_root is not None:
        os.close(open_root(settings.image_root))
    classifier = Classifier(load(settings.bundle))
    source = configured_source(settings, metrics, closing)
    decoder = _decoder(settings, classifier.manifest, metrics, closing)
    return Equipment(classifier, source, decoder)


def _trial_s(settings: WorkerSettings) -> float:
    """How long a child may take over one post: all that an image may take, and some."""
    return settings.image_timeout_s + settings.image_decode_timeout_s + TRIAL_S


def _connected(settings: WorkerSettings, slot: int, connect: Connect, closing: ExitStack) -> Broker:
    """Connect, and see that a client of Kafka that hangs ends the process."""
    watchdog = Watchdog(partial(end_at_once, code=HUNG))
    closing.callback(watchdog.close)
    with watchdog.bounding("connecting to Kafka", CONNECT_S):
        broker = connect(_client_settings(settings, slot))
    return WatchedBroker(broker, watchdog, settings.transaction_timeout_ms / 1000)


def _client_settings(settings: WorkerSettings, slot: int) -> ClientSettings:
    return ClientSettings(
        bootstrap_servers=settings.bootstrap_servers,
        group=settings.group,
        topic=settings.posts_topic,
        slot_id=slot_id(settings.group, settings.instance, slot),
        delivery=settings.delivery,
        request_timeout_ms=settings.request_timeout_ms,
        delivery_timeout_ms=settings.delivery_timeout_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        session_timeout_ms=settings.session_timeout_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms,
        security=settings,
        written_topics=(settings.verdicts_topic, settings.dead_letters_topic),
    )


def _partitions(settings: WorkerSettings, broker: Broker) -> int:
    """Ask the partitions that posts and verdicts share, and see that all topics are there."""
    posts = broker.partitions(settings.posts_topic, QUESTION_S)
    verdicts = broker.partitions(settings.verdicts_topic, QUESTION_S)
    broker.partitions(settings.dead_letters_topic, QUESTION_S)
    return posts if posts == verdicts else 0


def publisher(settings: WorkerSettings, manifest: Manifest, partitions: int) -> Publisher:
    """Make outcomes as these settings and this model have it."""
    return Publisher(
        settings.verdicts_topic,
        partitions,
        settings.dead_letters_topic,
        ModelName(manifest.name, manifest.version, manifest.strategy),
        manifest.labels,
        settings.abstain_below,
    )


def _decoder(
    settings: WorkerSettings, manifest: Manifest, metrics: Metrics, closing: ExitStack
) -> Decoder:
    limits = ImageLimits(int(settings.image_bytes_max), settings.image_pixels_max)
    if manifest.image is None or settings.decoder == "in-process":
        # A model without images asks for none: any size will do.
        return InProcessDecoder(manifest.image or ImageInput(1, 1), limits)
    metrics.decoder_endings(Ending)
    needs = Needs(manifest.image, limits, settings.image_decode_timeout_s)
    decoder = ChildDecoder(needs, metrics.decoder_ended)
    closing.callback(decoder.close)
    return decoder


def _collect_seldom() -> None:
    """Look for dead cycles after 10,000 new objects, not 700: most of a batch in work is alive."""
    gc.set_threshold(10_000, 10, 10)


def _keep_arenas_few() -> None:
    """Let glibc's malloc keep two arenas: one for each thread costs tens of megabytes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_arena_max = -8
        mallopt(m_arena_max, 2)


def main() -> int:
    """Be the child of `worker.supervisor`: settings come on stdin, whose end is the parent's."""
    _collect_seldom()
    lines = os.fdopen(os.dup(1), "wb")
    # What a library prints must not be taken for what the worker says.
    os.dup2(2, 1)
    told = _line(sys.stdin.fileno())
    if not told:
        return STOPPED  # the parent was gone before it said anything.
    settings = WorkerSettings.model_validate_json(told)
    stopping = Stopping(settings.stop_timeout_s)
    _stop_with_parent(stopping)
    try:
        with (
            heeding_signals(stopping),
            claimed(settings.group, settings.instance, settings.slot) as slot,
        ):
            return work(settings, slot, kafka_python.connect, stopping, 0, ToParent(lines, slot))
    except SlotTaken as error:
        ToParent(lines).refused(str(error))
        return REFUSED


def _line(file: int) -> bytes:
    """Read a line past Python's buffer, whose lock a waiting thread would hold at the exit."""
    line = b""
    while not line.endswith(b"\n"):
        more = os.read(file, 1)
        if not more:
            break
        line += more
    return line


def _stop_with_parent(stopping: Stopping) -> None:
    """Finish when the parent is gone: by the pipe everywhere, on Linux by the kernel as well."""

    def wait_for_the_end() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            continue
        stopping.request()

    threading.Thread(target=wait_for_the_end, name="parent", daemon=True).start()
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
