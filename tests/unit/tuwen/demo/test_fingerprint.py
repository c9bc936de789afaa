from collections.abc import Callable
from pathlib import Path

import pytest

from tuwen.demo import fingerprint as module
from tuwen.demo.fingerprint import fingerprint, versions


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that is all that the bundle is made from."""
    folder = tmp_path / "madefrom"
    folder.mkdir()
    (folder / "__init__.py").write_text("A = 1\n")
    (folder / "words.toml").write_text("a = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "SOURCES", ("madefrom",))
    return folder


def test_it_is_the_same_while_nothing_changes(package: Path) -> None:
    """Also when a cache or a log appears beside the sources."""
    before = fingerprint({"seed": 1})
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "x.pyc").write_bytes(b"1")

    assert fingerprint({"seed": 1}) == before


CHANGES: list[Callable[[Path], object]] = [
    lambda folder: (folder / "__init__.py").write_text("A = 2\n"),
    lambda folder: (folder / "words.toml").write_text("a = 2\n"),
    lambda folder: (folder / "new.py").write_text(""),
    lambda folder: (folder / "words.toml").rename(folder / "other.toml"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_a_source_changes_it(package: Path, change: Callable[[Path], object]) -> None:
    """Code and word lists alike; also a file that is new or has another name."""
    before = fingerprint({})
    change(package)

    assert fingerprint({}) != before


def test_settings_and_versions_change_it(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another seed makes another corpus, another TensorFlow another model."""
    before = fingerprint({"seed": 1})

    assert fingerprint({"seed": 2}) != before
    monkeypatch.setattr(module, "versions", lambda: {"keras": "99"})
    assert fingerprint({"seed": 1}) != before


def test_versions_are_those_installed() -> None:
    """Those that are not there are left out."""
    assert "numpy" in versions()
    assert all(versions().values())
