from pathlib import Path

import pytest

from tuwen import java
from tuwen.local_kafka_errors import JavaMissing


def make_java(folder: Path, said: str) -> Path:
    """Make a program `java` that says what a Java of some version says."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "java"
    program.write_text(f"#!/bin/sh\necho '{said}' >&2\n", encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture
def unpackaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the packaged Java, with JAVA_HOME unset and an empty PATH."""
    monkeypatch.setattr(java, "_packaged", lambda: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ("no idea", None),
    ],
)
def test_the_version_is_read(tmp_path: Path, said: str, version: int | None) -> None:
    """Old and new ways to write a version are understood."""
    assert java.major_version(make_java(tmp_path, said)) == version


def test_a_program_that_does_not_run_has_no_version(tmp_path: Path) -> None:
    """A shim that fails is no Java."""
    assert java.major_version(tmp_path / "absent") is None


@pytest.mark.usefixtures("unpackaged")
def test_a_new_enough_java_on_the_path_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any Java ≥ 17 will do."""
    program = make_java(tmp_path / "bin", 'openjdk version "21.0.1"')
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    assert java.find() == program


@pytest.mark.usefixtures("unpackaged")
def test_java_home_is_looked_at_before_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sets JAVA_HOME means it."""
    chosen = make_java(tmp_path / "home" / "bin", 'openjdk version "21.0.1"')
    other = make_java(tmp_path / "other", 'openjdk version "22.0.1"')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{other.parent}:/bin")
    assert java.find() == chosen


@pytest.mark.usefixtures("unpackaged")
def test_an_old_java_is_refused_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader learns what was found, and what to install."""
    program = make_java(tmp_path / "bin", 'java version "1.8.0_392"')
    monkeypatch.setenv("PATH", f"{program.parent}:/bin")
    with pytest.raises(JavaMissing, match=r"found only .*\(version 8\): install one"):
        java.find()


@pytest.mark.usefixtures("unpackaged")
def test_no_java_at_all_is_said() -> None:
    """The reader learns what to install."""
    with pytest.raises(JavaMissing, match=r"Java 17 or newer, and found none.*apt-get install"):
        java.find()
