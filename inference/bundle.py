"""A bundle's folder to a `Bundle`: every file hashed, every graph and shape checked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.text import BlockError, TextVectoriser
from inference.errors import BundleError
from inference.graph import Graph
from inference.onnx_wire import NotOnnx, operators
from inference.wiring import COUNTS, IDS, TOKENS, wiring_problem
from schemas.manifest import (
    CONTRACT_VERSION,
    FEATURE_VERSION,
    MANIFEST_FILE,
    FileSpec,
    GraphSpec,
    Manifest,
    TensorSpec,
    TextBlock,
)

__all__ = ["DOMAINS", "Bundle", "BundleError", "load"]

DOMAINS: Final = frozenset({"", "ai.onnx", "ai.onnx.ml"})
"""The operator sets that a graph may ask for: ONNX's own."""

_MANIFEST_BYTES_MAX: Final = 16 << 20
_EXPORT_AGAIN: Final = "export the bundle again, or copy it whole"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle. `vectorisers` are in the order of the manifest's text blocks."""

    path: Path
    manifest: Manifest
    graphs: Mapping[str, Graph]
    vectorisers: tuple[TextVectoriser, ...]

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64] | None:
        """`tokens.ids` of the texts, where the bundle has such an input."""
        wanted = self.manifest.tokens
        if wanted is None:
            return None
        [own] = [v for v in self.vectorisers if v.block.name == wanted.block]
        return own.ordered(texts, wanted.length)


def load(path: Path, threads: int = 1) -> Bundle:
    """Read and verify the bundle in the folder `path`. Raises BundleError.

    Graphs are opened from the very bytes that were hashed.
    """
    manifest = _manifest(path)
    problem = wiring_problem(manifest)
    if problem is not None:
        raise BundleError(path / MANIFEST_FILE, problem, _EXPORT_AGAIN)
    graphs = {
        name: _graph(path, name, spec, threads) for name, spec in sorted(manifest.graphs.items())
    }
    vectorisers = tuple(_vectoriser(path, block) for block in manifest.text)
    bundle = Bundle(path, manifest, MappingProxyType(graphs), vectorisers)
    _check_runs(bundle)
    return bundle


def _check_runs(bundle: Bundle) -> None:
    """The text graph's tables have a row for each column of a block, and one for the pad's id."""
    if "text" not in bundle.graphs:
        return
    spec = bundle.manifest.graphs["text"]
    inputs: dict[str, NDArray[Any]] = {}
    for vectoriser in bundle.vectorisers:
        name = vectoriser.block.name
        inputs[name + IDS], inputs[name + COUNTS] = vectoriser.ids_and_counts([""])
    tokens = bundle.tokens([""])
    if tokens is not None:
        inputs[TOKENS] = tokens
    try:
        bundle.graphs["text"].run(inputs, list(spec.outputs))
    except Exception as error:  # as above.
        raise BundleError(
            bundle.path / spec.file.path, f"cannot be run: {error}", _EXPORT_AGAIN
        ) from error


def _manifest(path: Path) -> Manifest:
    file = path / MANIFEST_FILE
    try:
        if file.stat().st_size > _MANIFEST_BYTES_MAX:
            raise BundleError(file, "the manifest is larger than 16 MiB", _EXPORT_AGAIN)
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(
            file, f"cannot be read: {error.strerror}", "name the folder that `tuwen export` wrote"
        ) from error
    _check_versions(file, content)
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BundleError(file, f"is no manifest: {error}", _EXPORT_AGAIN) from error


class _Versions(msgspec.Struct):
    contract: int | None = None
    feature_version: int | None = None


def _check_versions(file: Path, content: bytes) -> None:
    """Versions first: what a newer manifest holds besides need not be understood."""
    try:
        versions = msgspec.json.decode(content, type=_Versions)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BundleError(file, f"is no manifest: {error}", _EXPORT_AGAIN) from error
    for name, found, known in (
        ("contract version", versions.contract, CONTRACT_VERSION),
        ("feature version", versions.feature_version, FEATURE_VERSION),
    ):
        if found != known:
            raise BundleError(
                file,
                f"{name} is {found}, and this tuwen knows {known}",
                "export the bundle again with this version, or run the version that made it",
            )


def _content(root: Path, spec: FileSpec) -> bytes:
    """A file's bytes, if they are those that the manifest names."""
    parts = PurePosixPath(spec.path)
    file = root / spec.path
    if parts.is_absolute() or ".." in parts.parts or "\\" in spec.path:
        raise _outside(root, spec)
    try:
        if not file.resolve(strict=True).is_relative_to(root.resolve()):
            raise _outside(root, spec)
        size = file.stat().st_size
        content = file.read_bytes() if size == spec.bytes else b""
    except OSError as error:
        raise BundleError(file, f"cannot be read: {error.strerror}", _EXPORT_AGAIN) from error
    if size != spec.bytes:
        raise BundleError(
            file, f"has {size} bytes, and the manifest says {spec.bytes}", _EXPORT_AGAIN
        )
    if hashlib.sha256(content).hexdigest() != spec.sha256:
        raise BundleError(file, "the sha256 is not the manifest's", _EXPORT_AGAIN)
    return content


def _outside(root: Path, spec: FileSpec) -> BundleError:
    return BundleError(
        root / MANIFEST_FILE, f"the path {spec.path!r} leaves the bundle", "do not use this bundle"
    )


def _graph(root: Path, name: str, spec: GraphSpec, threads: int) -> Graph:
    file = root / spec.file.path
    model = _content(root, spec.file)
    _check_operators(file, model, spec)
    try:
        graph = Graph(model, threads)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this.
        raise BundleError(file, f"ONNX Runtime refuses it: {error}", _EXPORT_AGAIN) from error
    _check_tensors(file, f"{name} input", graph.inputs, spec.inputs)
    _check_tensors(file, f"{name} output", graph.outputs, spec.outputs)
    return graph


def _check_operators(file: Path, model: bytes, spec: GraphSpec) -> None:
    try:
        found = operators(model)
    except NotOnnx as error:
        raise BundleError(file, f"is no ONNX model: {error}", _EXPORT_AGAIN) from error
    foreign = sorted(set(found.opsets) - DOMAINS)
    if foreign:
        raise BundleError(
            file, f"uses the operator domains {foreign}", f"only {sorted(DOMAINS)} may be used"
        )
    if found.has_functions:
        raise BundleError(file, "brings functions of its own", "export the model without them")
    if sorted(found.opsets) != sorted(spec.domains) or found.opsets.get("") != spec.opset:
        raise BundleError(
            file,
            f"has the operator sets {found.opsets}, and the manifest says "
            f"opset {spec.opset} of {list(spec.domains)}",
            _EXPORT_AGAIN,
        )


def _check_tensors(
    file: Path, kind: str, found: Mapping[str, TensorSpec], said: Mapping[str, TensorSpec]
) -> None:
    if found == said:
        return
    for name in sorted(found.keys() | said.keys()):
        if found.get(name) != said.get(name):
            raise BundleError(
                file,
                f"{kind} {name!r} is {_drawn(found.get(name))}, and the manifest says "
                f"{_drawn(said.get(name))}",
                _EXPORT_AGAIN,
            )


def _drawn(spec: TensorSpec | None) -> str:
    return "absent" if spec is None else f"{spec.dtype} {list(spec.shape)}"


def _vectoriser(root: Path, block: TextBlock) -> TextVectoriser:
    vocabulary = () if block.vocabulary is None else _vocabulary(root, block.vocabulary)
    user_words = _strings(root, block.user_words) if block.user_words else ()
    try:
        return TextVectoriser(block, vocabulary, user_words)
    except BlockError as error:
        raise BundleError(root / MANIFEST_FILE, str(error), _EXPORT_AGAIN) from error


def _vocabulary(root: Path, spec: FileSpec) -> Sequence[str]:
    terms = _strings(root, spec)
    if len(set(terms)) != len(terms):
        raise BundleError(root / spec.path, "names a term twice", _EXPORT_AGAIN)
    return terms


def _strings(root: Path, spec: FileSpec) -> Sequence[str]:
    content: Any = _content(root, spec)
    try:
        return msgspec.json.decode(content, type=list[str])
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise BundleError(
            root / spec.path, f"is no JSON list of strings: {error}", _EXPORT_AGAIN
        ) from error
