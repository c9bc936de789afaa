"""Fetch Apache Kafka's published jars into a cache, and check each against the lock.

The lock (`kafka_jars.lock.toml`) holds coordinates and hashes, and no address: jgo knows where
jars are published. The cache lies in the user's cache folder, so that clones share it.
"""

import hashlib
import os
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import platformdirs

from schemas.progress import Progress, silent
from tuwen.local_kafka_errors import JarsUnavailable

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK: Final = Path(__file__).with_name("kafka_jars.lock.toml")
ENDPOINT: Final = "org.apache.kafka:kafka_2.13:4.4.0+org.slf4j:slf4j-simple:1.7.36"
_DOWNLOADS_AT_ONCE: Final = 8
_DOWNLOAD_TIMEOUT_S: Final = 30
_HEADER: Final = """\
# Apache Kafka and all that it needs, as jgo resolved them. Written by `make locks`.
# Each jar is checked against its sha256 before it runs.
"""


@dataclass(frozen=True, slots=True)
class Jar:
    """A published jar: its Maven coordinates, and what its bytes hash to."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies beneath a Maven repository."""
        folder = Path(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"


def default_cache() -> Path:
    """Give the user's own cache folder for jars."""
    return platformdirs.user_cache_path("tuwen") / "jars"


def locked(lock: Path = LOCK) -> list[Jar]:
    """Read the lock."""
    with lock.open("rb") as source:
        return [Jar(**row) for row in tomllib.load(source)["jars"]]


def fetch(
    cache: Path | None = None, jars: Iterable[Jar] | None = None, progress: Progress = silent
) -> list[Path]:
    """Give the paths of all jars, downloading those that are not in the cache.

    Raises:
        JarsUnavailable: a jar cannot be downloaded, or is not the one that the lock names.
    """
    folder = default_cache() if cache is None else cache
    wanted = locked() if jars is None else list(jars)
    missing = [jar for jar in wanted if not _is_intact(folder / jar.path, jar)]
    if missing:
        _download(folder, missing, progress)
    return [folder / jar.path for jar in wanted]


def write_lock(lock: Path = LOCK) -> None:
    """Resolve the endpoint anew and write the lock; the only place where versions are chosen."""
    import jgo

    with tempfile.TemporaryDirectory() as scratch:
        context = _context(Path(scratch))
        rows = []
        for found in jgo.resolve(ENDPOINT):
            jar = Jar(found.groupId, found.artifactId, found.version, "")
            rows.append((jar, _sha256(_published(context, jar))))
    blocks = [
        f'[[jars]]\ngroup = "{jar.group}"\nartifact = "{jar.artifact}"\n'
        f'version = "{jar.version}"\nsha256 = "{sha256}"\n'
        for jar, sha256 in sorted(rows, key=lambda row: row[0].path)
    ]
    lock.write_text("\n".join([_HEADER, *blocks]), encoding="utf-8")


def _download(folder: Path, jars: list[Jar], progress: Progress) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    # Beside the cache and renamed into it when checked: two commands may do this at once,
    # and a download that was killed leaves nothing that looks like a jar.
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch,
        ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool,
    ):
        context = _context(Path(scratch))
        progress("Apache Kafka", 0, len(jars), "downloading")
        arriving = pool.map(lambda jar: (jar, _published(context, jar)), jars)
        for count, (jar, path) in enumerate(arriving, start=1):
            _keep(folder, jar, path)
            progress("Apache Kafka", count, len(jars), jar.artifact)


def _keep(folder: Path, jar: Jar, path: Path) -> None:
    if not _is_intact(path, jar):
        raise JarsUnavailable(
            f"{path.name} as downloaded is not the file that {LOCK.name} names "
            f"(sha256 {_sha256(path)[:12]}…, expected {jar.sha256[:12]}…): nothing of it was run; "
            "try again, or from another network"
        )
    (folder / jar.path).parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, folder / jar.path)  # noqa: PTH105 - atomic, over a damaged file too


def _context(repository: Path) -> "MavenContext":
    try:
        from jgo.maven import MavenContext
    except ModuleNotFoundError as absent:
        raise JarsUnavailable(
            "a local Kafka needs the extra `kafka`: pip install 'tuwen[kafka]'"
        ) from absent
    return MavenContext(repo_cache=repository, local_repos=[], timeout=_DOWNLOAD_TIMEOUT_S)


def _published(context: "MavenContext", jar: Jar) -> Path:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        return Path(component.artifact().resolve())
    # jgo raises RuntimeError for a status, requests an OSError for a broken connection.
    except (OSError, RuntimeError) as failure:
        raise JarsUnavailable(
            f"cannot download {jar.path.name} ({type(failure).__name__}: {failure}): "
            "check the network, and that Maven's registry can be reached"
        ) from failure


def _is_intact(path: Path, jar: Jar) -> bool:
    return path.is_file() and _sha256(path) == jar.sha256


def _sha256(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
