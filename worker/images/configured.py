"""Settings enter, the source of every scheme leaves: those that are not configured are off."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version

from worker.images import data_url, file
from worker.images.data_url import DataSource
from worker.images.file import FileSource
from worker.images.host_reports import HostReport
from worker.images.sources import FetchWatch, ImageSource, NetworkSource, OffSource, SourcesByScheme
from worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class ConfiguredSource:
    """The source of all references, and what it knows of hosts."""

    images: ImageSource
    worst_hosts: Callable[[], list[HostReport]]


def configured_source(
    settings: WorkerSettings, watch: FetchWatch, closing: ExitStack
) -> ConfiguredSource:
    """Make the sources; what must be ended goes to `closing`. Raises BadRules."""
    http = _http(settings, watch, closing)
    by_scheme = SourcesByScheme(
        {
            file.SCHEME: FileSource(settings.image_root, settings.image_bytes_max),
            data_url.SCHEME: DataSource(settings.image_bytes_max),
            "http": http,
            "https": http,
        },
        watch,
    )
    return ConfiguredSource(by_scheme, http.worst_hosts)


def _http(settings: WorkerSettings, watch: FetchWatch, closing: ExitStack) -> NetworkSource:
    if not (settings.image_allowed_hosts or settings.image_allow_any_public):
        return OffSource(
            "http: and https: are off: neither image_allowed_hosts (TUWEN_IMAGE_ALLOWED_HOSTS) nor "
            "image_allow_any_public (TUWEN_IMAGE_ALLOW_ANY_PUBLIC) is set"
        )
    # A client of HTTP takes its time and memory to load, and most workers need none.
    from worker.images.address_guard import guard
    from worker.images.http_fetch import HttpBounds
    from worker.images.http_source import HttpSource

    rules = guard(
        settings.image_allowed_hosts,
        settings.image_ports,
        settings.image_networks,
        any_public=settings.image_allow_any_public,
    )
    bounds = HttpBounds(
        settings.image_timeout_s,
        int(settings.image_bytes_max),
        settings.image_connections_max,
        settings.image_connections_per_host_max,
        int(settings.in_flight_bytes_max),
        fresh_s_max=settings.image_cache_unasked_s_max,
        first_answer_s=settings.image_first_answer_s,
    )
    source = HttpSource(rules, bounds, watch, f"tuwen/{version('tuwen')}")
    closing.callback(source.close)
    return source
