"""Settings enter, the source of every scheme leaves: those that are not configured are off."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from worker.bucket_settings import SCHEMES
from worker.images import data_url, file
from worker.images.data_url import DataSource
from worker.images.file import FileSource
from worker.images.host_reports import HostReport
from worker.images.sources import FetchWatch, ImageSource, OffSource, SourcesByScheme
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    # It names a type of the client, which is loaded where it is needed.
    from worker.images.fetch_rules import FetchRules

_HTTP_IS_OFF: Final = (
    "http: and https: are off: neither image_allowed_hosts (TUWEN_IMAGE_ALLOWED_HOSTS) nor "
    "image_allow_any_public (TUWEN_IMAGE_ALLOW_ANY_PUBLIC) is set"
)


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """The source of all references, and what it knows of hosts."""

    images: ImageSource
    worst_hosts: Callable[[], list[HostReport]]


def configured_source(
    settings: WorkerSettings, watch: FetchWatch, closing: ExitStack
) -> ConfiguredSource:
    """Make the sources; what must be ended goes to `closing`. Raises BadRules."""
    sources: dict[str, ImageSource] = {
        file.SCHEME: FileSource(
            settings.image_root,
            settings.image_bytes_max,
            together_bytes_max=int(settings.in_flight_bytes_max),
        ),
        data_url.SCHEME: DataSource(settings.image_bytes_max),
        **dict.fromkeys(("http", "https"), OffSource(_HTTP_IS_OFF)),
    }
    for scheme, named_by in SCHEMES.items():
        variable = f"TUWEN_{named_by.upper()}"
        sources[scheme] = OffSource(f"{scheme}: is off: {named_by} ({variable}) names none")
    rules = _rules(settings)
    worst_hosts: Callable[[], list[HostReport]] = list
    if rules:
        on, worst_hosts = _network(rules, settings, watch, closing)
        sources |= on
    return ConfiguredSource(SourcesByScheme(sources, watch), worst_hosts)


def _rules(settings: WorkerSettings) -> "dict[tuple[str, ...], FetchRules]":
    """The rules of all schemes over the network that are on."""
    rules: dict[tuple[str, ...], FetchRules] = {}
    # Clients take their time and memory to load, and most workers need none.
    if settings.image_allowed_hosts or settings.image_allow_any_public:
        from worker.images.address_guard import guard

        rules["http", "https"] = guard(
            settings.image_allowed_hosts,
            settings.image_ports,
            settings.image_networks,
            any_public=settings.image_allow_any_public,
        )
    if any(getattr(settings, named_by) for named_by in SCHEMES.values()):
        from worker.images.object_stores import bucket_rules

        rules |= {(scheme,): each for scheme, each in bucket_rules(settings).items()}
    return rules


def _network(
    rules: "dict[tuple[str, ...], FetchRules]",
    settings: WorkerSettings,
    watch: FetchWatch,
    closing: ExitStack,
) -> tuple[dict[str, ImageSource], Callable[[], list[HostReport]]]:
    """Make a source of each rules, all in one thread."""
    from worker.images.fetch_thread import FetchThread
    from worker.images.http_fetch import HttpBounds
    from worker.images.http_source import HttpSource

    bounds = HttpBounds(
        settings.image_timeout_s,
        int(settings.image_bytes_max),
        settings.image_connections_max,
        settings.image_connections_per_host_max,
        int(settings.in_flight_bytes_max),
        fresh_s_max=settings.image_cache_unasked_s_max,
        first_answer_s=settings.image_first_answer_s,
    )
    thread = FetchThread(bounds.connections_max)
    closing.callback(thread.close)
    sources: dict[str, ImageSource] = {}
    for schemes, each in rules.items():
        agent = f"tuwen/{version('tuwen')}"
        source = HttpSource(each, bounds, watch, agent, shared=thread)
        closing.callback(source.close)
        sources |= dict.fromkeys(schemes, source)
    return sources, thread.worst_hosts
