"""Every setting of a worker: its bounds, its unit in its name, and how to choose its value.

What enters are values that `worker.settings_sources` gathered from flags, variables and one TOML
file; what leaves is frozen, and fits together.
"""

import socket
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ByteSize, Field, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from worker.bucket_settings import BucketSettings
from worker.image_failures import BY_DEFAULT, image_failures, written
from worker.link_settings import LinkSettings
from worker.timeout_settings import TimeoutSettings

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
Bytes = Annotated[ByteSize, Field(ge=1)]
# A list with commas, and an empty one; what is a host or a network is the guard's to say.
Listed = Annotated[str, Field(pattern=r"^([^\s,]+(,[^\s,]+)*)?$")]
Ports = Annotated[str, Field(pattern=r"^\d{1,5}(,\d{1,5})*$")]
# What it says is read by `image_failures`, here to refuse at the start.
Failures = Annotated[str, AfterValidator(lambda text: written(image_failures(text)))]

# Elsewhere a child is held by limits of its resources alone.
DECODER: Literal["child", "in-process"] = "child" if sys.platform == "linux" else "in-process"


class WorkerSettings(LinkSettings, BucketSettings, TimeoutSettings, BaseSettings):
    """All that a worker can be told. Defaults are for one machine and the local Kafka."""

    model_config = SettingsConfigDict(
        env_prefix="TUWEN_",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        # A secret may be among it.
        hide_input_in_errors=True,
    )

    bundle: Path = Field(
        default=Path("bundle"),
        description="Folder of the exported model. Every worker of a group serves the same one.",
    )

    group: Name = Field(
        default="tuwen",
        description="Consumer group. Workers of one group share the posts; another group labels "
        "all posts once more.",
    )
    instance: Name = Field(
        default_factory=socket.gethostname,
        description="Name of this machine or container. It must be unique in the group and the "
        "same after a restart; a StatefulSet's pod name is both.",
    )
    slot: int | None = Field(
        default=None,
        ge=0,
        le=9999,
        description="Number of this worker on this instance. Leave it out to take the first free "
        "one; give it when something else supervises single workers.",
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=256,
        description="Workers under one parent that restarts the dead. One per core that is free "
        "for them; more than partitions stay idle.",
    )

    posts_topic: Name = Field(default="tuwen.posts", description="Topic that is read.")
    verdicts_topic: Name = Field(
        default="tuwen.verdicts",
        description="Topic of the labels. With as many partitions as the posts have, a post and "
        "its verdict share the partition number.",
    )
    dead_letters_topic: Name = Field(
        default="tuwen.dead-letters",
        description="Topic of what could not be labelled. Keep it for as long as it takes to look.",
    )

    delivery: Literal["exactly-once", "at-least-once"] = Field(
        default="exactly-once",
        description="exactly-once: one outcome per post, read with isolation read_committed. "
        "at-least-once: a crash may repeat outcomes, and there are no transactions.",
    )
    commit_interval_ms: int = Field(
        default=100,
        ge=0,
        le=5000,
        description="Least time between two commits; with a backlog up to four times as long. A "
        "lone post commits at once whatever this is; under load 50 brings verdicts sooner, for "
        "twice the transactions: 8 ms of CPU each.",
    )
    batch_records_max: int = Field(
        default=128,
        ge=1,
        le=4096,
        description="Most posts inferred together. Each batch has a fixed cost: with half as many "
        "a post with an image costs a tenth more. Some three batches of pixels are in memory: "
        "58 MB for a CNN of 224 x 224.",
    )
    poll_records_max: int = Field(
        default=500,
        ge=1,
        le=100_000,
        description="Most records taken in one poll. Several batches' worth keeps a poll cheap.",
    )
    in_flight_records_max: int = Field(
        default=2048,
        ge=1,
        le=1_000_000,
        description="Most posts read and not yet committed: over it the worker pauses. It bounds "
        "memory, and what is done again after a crash.",
    )
    in_flight_bytes_max: Bytes = Field(
        default=ByteSize(64 * 2**20),
        description="Most bytes of posts and images read and not yet committed. Raise it with "
        "large images and memory to spare.",
    )

    image_root: Path | None = Field(
        default=None,
        description="Folder that `file:` references are relative to. Nothing outside it can be "
        "read; without it such references are off.",
    )
    image_allowed_hosts: Listed = Field(
        default="",
        description="Hosts that `http:` and `https:` references may name, with commas; `*.name` is "
        "all hosts under a name. Empty, and without image_allow_any_public, they are off.",
    )
    image_allow_any_public: bool = Field(
        default=False,
        description="true: any host whose addresses are all public, whoever wrote the post. Only "
        "where the posts' images are anywhere.",
    )
    image_ports: Ports = Field(
        default="80,443",
        description="Ports of image hosts that may be dialled, with commas.",
    )
    image_networks: Listed = Field(
        default="",
        description="Networks that may be dialled although they are not public, as 10.20.0.0/16, "
        "with commas: where image hosts of your own are. Needs image_allowed_hosts.",
    )
    image_timeout_s: float = Field(
        default=5.0,
        gt=0,
        le=300,
        description="How long a fetch may take, name, redirects and all. A little over what the "
        "slowest host that matters needs: while one waits, its batch does.",
    )
    image_first_answer_s: float = Field(
        default=0.8,
        gt=0,
        le=300,
        description="How long a host that has not answered for a minute may take to begin its "
        "answer: what a dead host costs its batch, once. More where slow hosts are asked seldom.",
    )
    image_connections_max: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Most images that one worker fetches at once: of four hosts as many as each "
        "may be asked for.",
    )
    image_connections_per_host_max: int = Field(
        default=16,
        ge=1,
        le=4096,
        description="Most images that one worker fetches at once from one host. Times the workers "
        "it is what the host has to bear; a CDN of your own bears as much as a batch.",
    )
    image_bytes_max: Bytes = Field(
        default=ByteSize(10 * 2**20),
        description="Largest image, as stored. A little over the largest that your posts carry.",
    )
    image_pixels_max: int = Field(
        default=50_000_000,
        ge=1,
        le=1_000_000_000,
        description="Most pixels of an image, checked before it is decoded. 50 million need up "
        "to 200 MB for a moment, as PNG.",
    )
    image_cache_bytes_max: Annotated[ByteSize, Field(ge=0)] = Field(
        default=ByteSize(32 * 2**20),
        description="Memory of each worker for what the CNN gave for images seen before, 0: none. "
        "An image takes 1 to 5 kB. Raise it while tuwen_image_cache_evictions_total grows and hits "
        "are worth it; 0 where no image comes twice.",
    )
    image_cache_unasked_s_max: float = Field(
        default=3600.0,
        ge=0,
        le=86_400,
        description="How long a host is believed that its image stays the same, by the max-age of "
        "its Cache-Control, and is not asked again. Less where hosts promise more than they keep; "
        "0: each post asks, which costs a round trip and no image.",
    )
    image_decode_timeout_s: float = Field(
        default=2.0,
        gt=0,
        le=60,
        description="How long the decoder child may take for one image, until it is ended and the "
        "image counts as one that cannot be had. 2 s are enough for 50 million pixels.",
    )
    decoder: Literal["child", "in-process"] = Field(
        default=DECODER,
        description="child: a process that can do nothing else decodes the images, for 5 µs an "
        "image and 40 MB, twice with its spare; the default on Linux. in-process: only where all "
        "images are your own.",
    )
    on_image_failure: Failures = Field(
        default=written(BY_DEFAULT),
        description="degrade: label on the text, and say what is missing. dead-letter: no label "
        "without the image that the post names. One action for all reasons, and others for single "
        "ones, with commas: `dead-letter,image-not-found=degrade`. retry asks again first, for "
        "image-host-unavailable, image-timeout and image-not-found.",
    )
    image_tries_max: int = Field(
        default=3,
        ge=1,
        le=100,
        description="How often the image of one post is asked for, where on_image_failure says "
        "retry. The pauses are some 0.5 s, 1 s, 2 s …; the commits of its partition wait.",
    )
    image_retry_age_s: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="No image is asked for again so long after the first time. With one fetch "
        "more, how late a post may make its partition: more than a few of the pauses, less than "
        "your verdicts may wait.",
    )
    abstain_below: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="A verdict whose highest score is below this has no label. 0: all have one. "
        "Choose it where accuracy against coverage, measured on held-out posts, is good enough.",
    )

    on_deleted_unread: Literal["stop", "skip"] = Field(
        default="stop",
        description="Where Kafka deleted records before they were read. stop: the partition stops, "
        "and is named. skip: it goes on with the first that is left, and says how many are lost; "
        "set it when you know why, and take it back.",
    )
    stalled_after_s: float = Field(
        default=60.0,
        gt=0,
        le=86_400,
        description="When a partition that has lag and no commit is logged as stalled. More than "
        "transaction_timeout_ms and 12 s, which a worker that died for good may cost; less than "
        "your posts may wait.",
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address that metrics and health are served on. 0.0.0.0 in a container, where "
        "the network decides who may ask.",
    )
    metrics_port: int | None = Field(
        default=None,
        ge=1,
        le=65_535,
        description="Port of metrics and health. Unset: the next free one from 9464, printed. "
        "Set it where something scrapes; when it is taken, the worker refuses to start.",
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="json for machines, console for eyes; auto is console on a terminal.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        description="Least level that is logged. Posts are never logged, at any level.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library calls by this name.
        init_settings: PydanticBaseSettingsSource,
        *_others: Any,
        **_named: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given and nothing else: `worker.settings_sources` reads the world."""
        return (init_settings,)

    @model_validator(mode="after")
    def _bounds_fit(self) -> Self:
        """What one stage may hold fits into what all of them may hold."""
        for part, whole in PARTS:
            if getattr(self, part) > getattr(self, whole):
                raise ValueError(
                    f"{part} ({getattr(self, part)}) must be at most {whole} "
                    f"({getattr(self, whole)})"
                )
        return self

    @model_validator(mode="after")
    def _inner_networks_need_named_hosts(self) -> Self:
        """Where any host may be named, any post could reach them."""
        if self.image_networks and (self.image_allow_any_public or not self.image_allowed_hosts):
            raise ValueError(
                f"image_networks ({self.image_networks}) needs image_allowed_hosts, and "
                "image_allow_any_public off: else any post could reach these networks"
            )
        return self

    @model_validator(mode="after")
    def _slots_can_be_named(self) -> Self:
        """A slot's id is a file's name here and a member's at Kafka, of 249 characters at most."""
        both = len(self.group) + len(self.instance)
        if both > SLOT_NAMES_MAX:
            raise ValueError(
                f"group and instance have {both} characters together: shorten them to "
                f"{SLOT_NAMES_MAX}"
            )
        return self

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        """A worker that reads what it writes would never end."""
        topics = (self.posts_topic, self.verdicts_topic, self.dead_letters_topic)
        if len(set(topics)) < len(topics):
            raise ValueError(
                "posts_topic, verdicts_topic and dead_letters_topic must be three topics"
            )
        return self

    @model_validator(mode="after")
    def _one_slot_one_process(self) -> Self:
        """A slot names one process."""
        if self.slot is not None and self.processes > 1:
            raise ValueError(
                f"slot ({self.slot}) pins one process, and processes is {self.processes}: leave "
                "slot out, or start single workers"
            )
        return self


SLOT_NAMES_MAX = 240
PARTS = (
    ("batch_records_max", "in_flight_records_max"),
    ("poll_records_max", "in_flight_records_max"),
    ("image_bytes_max", "in_flight_bytes_max"),
)
