"""A models folder to a bundle: convert, compare, and only then give it its name."""

import errno
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version as version_of
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from export import parity
from export.errors import ExportError, ParityError
from export.fusion.seam import Parts, Strategy, fusion_graph, strategy
from export.models_folder import ModelsFolder, read
from export.onnx_graph import opsets
from export.text_graph import text_graph
from features.images import decoder_version
from inference.bundle import load
from inference.graph import Graph
from inference.wiring import TOKENS
from schemas.manifest import (
    CONTRACT_VERSION,
    FEATURE_VERSION,
    MANIFEST_FILE,
    FileSpec,
    GraphSpec,
    ImageInput,
    Manifest,
    Parity,
    TextBlock,
)
from schemas.progress import Progress

__all__ = ["ExportError", "ParityError", "export"]

_VERSION_CHARACTERS: Final = 12
_NOT_COMPARED: Final = Parity((), 0, 0, 0, 0, 0)
_PACKAGES: Final = ("onnx", "onnxruntime", "numpy", "rjieba", "skl2onnx", "tf2onnx", "tuwen")


def export(
    models: Path,
    out: Path,
    progress: Progress,
    corpus: Path | None = None,
    strategy_name: str | None = None,
    own: Mapping[str, Strategy] = MappingProxyType({}),
) -> Manifest:
    """Write the bundle `out` from the folder `models`; the bundle is named as its folder is.

    `corpus` is where the reference's pictures lie, by default where training found them.
    `strategy_name` exports another than the chosen of the strategies that were trained; `own` are
    strategies, by name, besides those of this package.
    Raises ParityError or ExportError, and then leaves nothing behind.
    """
    folder = read(models)
    name = strategy_name or folder.models.chosen
    if name not in folder.models.strategies:
        raise ExportError(
            f"strategy {name!r} was not trained; there are {', '.join(folder.models.strategies)}"
        )
    chosen = strategy(name, own)
    with _beside(out) as partial:
        manifest = _written(folder, chosen, name, partial, out.resolve().name, progress)
        compared = parity.check(
            load(partial),
            folder,
            corpus or Path(folder.models.corpus_path),
            chosen.TOLERANCE,
            progress,
        )
        manifest = msgspec.structs.replace(manifest, parity=compared)
        _write(partial, manifest)
        _take_place(partial, out)
    progress("export", 1, 1, f"{manifest.name} {manifest.version}")
    return manifest


@contextmanager
def _beside(out: Path) -> Iterator[Path]:
    """A folder beside `out`, gone at the end whatever happens."""
    if (
        out.exists()
        and not (out / MANIFEST_FILE).is_file()
        and (not out.is_dir() or any(out.iterdir()))
    ):
        raise ExportError(f"{out} is there and is no bundle; name a new folder")
    partial: Path | None = None
    try:
        out.resolve().parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.resolve().parent))
        partial.chmod(0o755)
        yield partial
    except OSError as error:
        raise ExportError(_unwritten(out, error)) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)


def _unwritten(out: Path, error: OSError) -> str:
    remedy = (
        "free some space" if error.errno in {errno.ENOSPC, errno.EDQUOT} else "name another folder"
    )
    return f"the bundle {out} cannot be written: {error.strerror or error}; {remedy}"


def _take_place(partial: Path, out: Path) -> None:
    """Rename; a bundle that was there is moved aside first, and deleted after."""
    if not out.exists():
        partial.rename(out)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.resolve().parent))
    try:
        former = out.rename(aside / out.name)
        try:
            partial.rename(out)
        except BaseException:
            former.rename(out)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _written(
    folder: ModelsFolder,
    chosen: Strategy,
    name: str,
    partial: Path,
    bundle_name: str,
    progress: Progress,
) -> Manifest:
    """Convert everything into `partial`; gives the manifest, not yet compared."""
    models = folder.models
    graphs = _graphs(folder, chosen, name, partial, progress)
    text = tuple(_block(folder, block, partial) for block in models.text)
    has_tokens = TOKENS in graphs["text"].inputs if "text" in graphs else False
    manifest = Manifest(
        contract=CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        name=bundle_name,
        version="",
        labels=models.labels,
        modalities=models.modalities,
        strategy=name,
        graphs=graphs,
        text=text,
        image=_image(models.image),
        evaluation=folder.evaluation(name),
        parity=_NOT_COMPARED,
        settings=models.settings,
        versions={**models.versions, **_versions()},
        seed=models.seed,
        corpus_sha256=models.corpus_sha256,
        tokens=models.tokens if has_tokens else None,
        labels_from=models.labels_from,
    )
    # The same content has the same version, whenever and wherever it is exported.
    digest = hashlib.sha256(msgspec.json.encode(manifest, order="sorted")).hexdigest()
    manifest = msgspec.structs.replace(manifest, version=digest[:_VERSION_CHARACTERS])
    _write(partial, manifest)
    return manifest


def _graphs(
    folder: ModelsFolder, chosen: Strategy, name: str, partial: Path, progress: Progress
) -> dict[str, GraphSpec]:
    """The graphs of the modalities, with just the outputs that fusion takes, then fusion."""
    models = folder.models
    settings = folder.settings(name)
    wanted = chosen.inputs(settings, models.modalities)
    total = len(models.modalities) + 1
    graphs: dict[str, GraphSpec] = {}
    for number, modality in enumerate(models.modalities):
        progress("convert", number, total, modality)
        outputs = [tensor for tensor in wanted if tensor.startswith(f"{modality}.")]
        graphs[modality] = _graph(partial, modality, _converted(folder, name, modality, outputs))
    progress("convert", total - 1, total, "fusion")
    own = folder.path / "fusion" / name
    parts = Parts(models.modalities, len(models.labels), _sides(graphs), own)
    weights = folder.weights(f"fusion/{name}/weights.npz")
    graphs["fusion"] = _graph(partial, "fusion", fusion_graph(chosen, parts, settings, weights))
    progress("convert", total, total)
    return graphs


def _converted(folder: ModelsFolder, name: str, modality: str, outputs: list[str]) -> bytes:
    if modality == "text" and folder.models.rest is not None:
        from export.dense_text_graph import dense_text_graph  # so does scikit-learn.

        weights, rest = folder.weights("text/model.npz"), folder.estimator("text/rest.skops")
        return dense_text_graph(folder.models, weights, rest, folder.models.rest)
    if modality == "text":
        return text_graph(folder.models, folder.weights("text/model.npz"), outputs)
    if folder.models.image is None:
        raise ExportError(
            f"{folder.path}: models.json names images and not their size; train again"
        )
    from export.cnn import image_graph  # TensorFlow takes seconds: text alone does without.

    file = folder.path / folder.models.image_models.get(name, "image/model.keras")
    return image_graph(file, folder.models.image, outputs)


def _sides(graphs: Mapping[str, GraphSpec]) -> dict[str, tuple[int, ...]]:
    return {
        name: tuple(int(side) for side in spec.shape[1:])
        for graph in graphs.values()
        for name, spec in graph.outputs.items()
    }


def _graph(partial: Path, name: str, model: bytes) -> GraphSpec:
    try:
        opened = Graph(model)
    except Exception as error:  # ONNX Runtime's exceptions share no base but this.
        raise ExportError(
            f"ONNX Runtime cannot load the {name} graph: {error}; this is a defect of export, or a "
            "step of the model that ONNX Runtime does not have"
        ) from error
    found = opsets(model)
    file = _file(partial, f"{name}.onnx", model)
    return GraphSpec(file, found[""], tuple(sorted(found)), opened.inputs, opened.outputs)


def _block(folder: ModelsFolder, block: TextBlock, partial: Path) -> TextBlock:
    """The block with its files copied, hashed, and the cutter's version said."""
    user_words = block.user_words
    terms = f"text/{block.name}.vocabulary.json"
    return msgspec.structs.replace(
        block,
        vocabulary=None if block.vocabulary is None else _copied(folder, terms, partial),
        user_words=None if user_words is None else _copied(folder, user_words.path, partial),
        cutter_version=version_of("rjieba") if block.analyzer == "words" else "",
    )


def _copied(folder: ModelsFolder, path: str, partial: Path) -> FileSpec:
    strings = folder.decoded(path, list[str])
    return _file(partial, Path(path).name, msgspec.json.encode(strings))


def _image(image: ImageInput | None) -> ImageInput | None:
    return image and msgspec.structs.replace(image, decoder_version=decoder_version())


def _file(partial: Path, path: str, content: bytes) -> FileSpec:
    (partial / path).write_bytes(content)
    return FileSpec(path, hashlib.sha256(content).hexdigest(), len(content))


def _versions() -> dict[str, Any]:
    return {package: version_of(package) for package in _PACKAGES}


def _write(partial: Path, manifest: Manifest) -> None:
    content = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (partial / MANIFEST_FILE).write_bytes(content)
