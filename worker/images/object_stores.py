"""Settings enter, the rules of each scheme of buckets leave: where objects are, and who asks.

obstore signs, and does nothing else: it opens no connection. It reads variables, files of a home
and the metadata of a cloud where it is told too little, so it is told all, and shown no variable.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NoReturn
from urllib.parse import quote

import obstore
from obstore.exceptions import BaseError
from obstore.store import GCSStore, S3Store
from pydantic import SecretStr
from yarl import URL

from worker.bucket_settings import SCHEMES, BucketSettings
from worker.images.bucket_rules import Bucket, BucketRules
from worker.images.sources import BadRules

SIGNED_FOR: Final = timedelta(minutes=15)
"""How long a signature holds; the clocks of worker and store may differ by as much."""

SECRET_BYTES_MAX: Final = 64 * 1024
_OF_A_SERVICE_ACCOUNT: Final = ("client_email", "private_key", "private_key_id")

_QUERY: Final = re.compile(r"[!$-~]+")
_HOST_PART: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


def bucket_rules(settings: BucketSettings) -> dict[str, BucketRules]:
    """Give the rules of each scheme that has a bucket. Raises BadRules."""
    makes = {"s3": _s3, "gs": _gs, "az": _az}
    hints = {
        "s3": "may s3_access_key_id read it, and is s3_region the bucket's?",
        "gs": "may the account of gs_service_account_key read it?",
        "az": "may az_sas_token read it, and is it still valid?",
    }
    found = {}
    for scheme, named_by in SCHEMES.items():
        names = [name for name in getattr(settings, named_by).split(",") if name]
        if names:
            buckets = {name: makes[scheme](settings, name) for name in names}
            found[scheme] = BucketRules(buckets, named_by, hints[scheme])
    return found


def _s3(settings: BucketSettings, name: str) -> Bucket:
    base = _endpoint(settings, "s3_endpoint", _amazon(settings.s3_region))
    by_host = settings.s3_addressing == "virtual-hosted" or (
        settings.s3_addressing == "auto"
        and settings.s3_endpoint is None
        # The certificate of `*.s3…` is for one label.
        and "." not in name
    )
    root = _within(base, name, "s3_buckets") if by_host else f"{base}/{name}/"
    if settings.s3_access_key_id is None:
        return Bucket(root, _unsigned)
    with _no_variables():
        store = S3Store(
            name,
            config={
                "access_key_id": settings.s3_access_key_id,
                "secret_access_key": _secret(settings, "s3_secret_access_key") or "",
                "region": settings.s3_region,
                "endpoint": root.removesuffix("/") if by_host else base,
                "virtual_hosted_style_request": by_host,
            },
            client_options={"allow_http": True},
        )
    return Bucket(root, lambda key: _query(store, key))


def _gs(settings: BucketSettings, name: str) -> Bucket:
    base = _endpoint(settings, "gs_endpoint", "https://storage.googleapis.com")
    root = f"{base}/{name}/"
    key = _secret(settings, "gs_service_account_key")
    if key is None:
        return Bucket(root, _unsigned)
    store = _google(name, base, _account(key))
    # It signs a path as it is given, and ours is quoted.
    return Bucket(root, lambda key: _query(store, quote(key, safe="/")))


def _google(name: str, base: str, account: str) -> GCSStore:
    """Make a store, and see that its key signs."""
    try:
        with _no_variables():
            store = GCSStore(
                name,
                config={"service_account_key": account, "base_url": base},
                client_options={"allow_http": True},
            )
        _query(store, "a key")
    except BaseError:
        raise BadRules("gs_service_account_key: its private_key cannot be read") from None
    return store


def _az(settings: BucketSettings, name: str) -> Bucket:
    usual = f"https://{settings.az_account}.blob.core.windows.net"
    base = _endpoint(settings, "az_endpoint", usual)
    token = _secret(settings, "az_sas_token")
    if token is None:
        return Bucket(f"{base}/{name}/", _unsigned)
    query = token.removeprefix("?")
    if "sig=" not in query or not _QUERY.fullmatch(query):
        raise BadRules("az_sas_token: it is no shared access signature: it has no sig=…")
    return Bucket(f"{base}/{name}/", lambda _: query)


def _unsigned(_: str) -> str:
    return ""


def _query(store: S3Store | GCSStore, key: str) -> str:
    """Sign a key, and leave the URL's path to others."""
    return obstore.sign(store, "GET", key, SIGNED_FOR).partition("?")[2]


def _amazon(region: str) -> str:
    suffix = ".cn" if region.startswith("cn-") else ""
    return f"https://s3.{region}.amazonaws.com{suffix}"


def _endpoint(settings: BucketSettings, setting: str, usual: str) -> str:
    """The URL of a store, without a slash at its end."""
    given = getattr(settings, setting)
    base = (given or usual).rstrip("/")
    try:
        url = URL(base)
    except ValueError:
        raise BadRules(f"{setting}: {given} is no URL") from None
    if not url.raw_host or str(url).rstrip("/") != base:
        raise BadRules(f"{setting}: {given} is no URL as it must be: write https://host:port")
    if url.scheme != "https" and not settings.bucket_allow_http:
        raise BadRules(
            f"{setting}: {given} would show images and signatures to the network: use https:, or "
            "allow it with bucket_allow_http"
        )
    return base


def _within(base: str, name: str, setting: str) -> str:
    """The root of a bucket that is a part of the host's name."""
    if not _HOST_PART.fullmatch(name) or ".." in name:
        raise BadRules(f"{setting}: {name} cannot be a part of a host's name: set s3_addressing")
    scheme, _, host = base.partition("://")
    return f"{scheme}://{name}.{host}/"


def _account(key: str) -> str:
    """Take of a service account's key what signing needs: the rest of it may redirect who reads."""
    try:
        given: Any = json.loads(key)
        return json.dumps({name: str(given[name]) for name in _OF_A_SERVICE_ACCOUNT})
    except (ValueError, KeyError, TypeError):
        raise BadRules(
            "gs_service_account_key: it is no JSON of a service account's key, with "
            + ", ".join(_OF_A_SERVICE_ACCOUNT)
        ) from None


def _secret(settings: BucketSettings, name: str) -> str | None:
    """A secret from its setting or its file; None where neither is set."""
    given: SecretStr | None = getattr(settings, name)
    if given is not None:
        return given.get_secret_value()
    path: Path | None = getattr(settings, f"{name}_file")
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            text = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        _refuse(name, path, f"cannot be read: {error.strerror}")
    if not text or len(text) > SECRET_BYTES_MAX:
        _refuse(name, path, "is empty" if not text else f"is larger than {SECRET_BYTES_MAX} bytes")
    try:
        secret = text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        _refuse(name, path, "is no text in UTF-8")
    if name != "gs_service_account_key" and not secret.isprintable():
        _refuse(name, path, "holds more than one line: it must hold the secret alone")
    return secret


def _refuse(name: str, path: Path, why: str) -> NoReturn:
    raise BadRules(f"{name}_file ({path}) {why}") from None


@contextmanager
def _no_variables() -> Iterator[None]:
    """Show obstore an empty environment: `AWS_…`, `GOOGLE_…` and `HOME` would speak for others.

    At the start alone, when no other thread reads variables.
    """
    kept = dict(os.environ)
    os.environ.clear()
    try:
        yield
    finally:
        os.environ.update(kept)
