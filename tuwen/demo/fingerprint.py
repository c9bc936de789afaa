"""Say what corpus and bundle were made from, so that they are made again when it changes."""

import hashlib
import importlib.metadata
import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

SOURCES: Final = (
    "tuwen.demo_corpus",
    "train",
    "export",
    "features",
    "inference",
    "schemas",
)
"""Packages whose code decides what is made."""

SUFFIXES: Final = frozenset({".css", ".j2", ".json", ".py", ".toml", ".txt"})

LIBRARIES: Final = (
    "jieba",
    "jinja2",
    "keras",
    "matplotlib",
    "numpy",
    "onnx",
    "onnxruntime",
    "pillow",
    "rjieba",
    "scikit-learn",
    "simplejpeg",
    "skl2onnx",
    "tensorflow-cpu",
    "tensorflow",
    "tf2onnx",
)
"""Distributions whose version decides what is made."""


def fingerprint(settings: Mapping[str, object]) -> str:
    """Hash sources, versions and settings, as 64 hex digits."""
    sums = hashlib.sha256()
    for name in SOURCES:
        for path in _files(name):
            sums.update(f"{path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    sums.update(repr(sorted(versions().items())).encode())
    sums.update(repr(sorted(settings.items())).encode())
    return sums.hexdigest()


def versions() -> Mapping[str, str]:
    """Give the installed versions of the libraries that matter; what is not there is left out."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _files(package: str) -> Iterable[Path]:
    """The files of a package; its tests and caches lie elsewhere."""
    spec = importlib.util.find_spec(package)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    files = [path for folder in folders for path in Path(folder).rglob("*") if path.is_file()]
    return sorted(path for path in files if path.suffix in SUFFIXES)
