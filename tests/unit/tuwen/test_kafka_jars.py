import hashlib
from pathlib import Path
from typing import Any

import pytest

from tuwen import kafka_jars
from tuwen.kafka_jars import Jar
from tuwen.local_kafka_errors import JarsUnavailable

CONTENT = b"PK a jar"
JAR = Jar("org.example.deep", "thing", "1.2", hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the registry gives, and how often it was asked; no network is touched."""
    registry: dict[str, Any] = {"content": CONTENT, "asked": 0}

    def give(context: Path, jar: Jar) -> Path:
        registry["asked"] += 1
        path = context / jar.path.name
        path.write_bytes(registry["content"])
        return path

    monkeypatch.setattr(kafka_jars, "_context", lambda repository: repository)
    monkeypatch.setattr(kafka_jars, "_published", give)
    return registry


def test_the_lock_names_a_broker_and_hashes_all() -> None:
    """The committed lock holds Kafka itself, and a whole sha256 for each jar."""
    jars = kafka_jars.locked()
    assert any(jar.artifact == "kafka_2.13" and jar.version == "4.4.0" for jar in jars)
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert "://" not in kafka_jars.LOCK.read_text(encoding="utf-8")


def test_a_jar_lies_where_maven_puts_it() -> None:
    """The cache has the layout of a Maven repository."""
    assert Path("org/example/deep/thing/1.2/thing-1.2.jar") == JAR.path


def test_a_missing_jar_is_downloaded_once(tmp_path: Path, published: dict[str, Any]) -> None:
    """The second time it comes from the cache."""
    paths = [kafka_jars.fetch(tmp_path, [JAR]) for _ in range(2)]
    assert paths == [[tmp_path / JAR.path]] * 2
    assert (paths[0][0].read_bytes(), published["asked"]) == (CONTENT, 1)


def test_a_damaged_jar_in_the_cache_is_replaced(tmp_path: Path, published: dict[str, Any]) -> None:
    """Bytes that do not hash to the lock's value never run."""
    kafka_jars.fetch(tmp_path, [JAR])
    (tmp_path / JAR.path).write_bytes(CONTENT[:-1])
    assert kafka_jars.fetch(tmp_path, [JAR])[0].read_bytes() == CONTENT


def test_a_jar_that_is_not_the_locked_one_is_refused(
    tmp_path: Path, published: dict[str, Any]
) -> None:
    """What the registry gives is checked before it is kept."""
    published["content"] = b"something else"
    with pytest.raises(JarsUnavailable, match=r"thing-1\.2\.jar as downloaded is not the file"):
        kafka_jars.fetch(tmp_path, [JAR])
    assert not (tmp_path / JAR.path).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_cannot_be_reached_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network's fault is one sentence, with what to do."""

    def refuse(*_: object, **__: object) -> Path:
        raise ConnectionError("no route")

    monkeypatch.setattr("jgo.maven.Artifact.resolve", refuse)
    with pytest.raises(JarsUnavailable, match=r"cannot download thing-1\.2\.jar.*check the net"):
        kafka_jars.fetch(tmp_path, [JAR])
