"""Put a bundle's manifest into words."""

from collections.abc import Iterator

from schemas.manifest import GraphSpec, Manifest, Parity, TensorSpec, TextBlock
from train.label_origin import figure_name, origin_line


def parity_lines(parity: Parity) -> Iterator[str]:
    """Say how far the bundle is from what was trained."""
    for figure in parity.figures:
        yield (
            f"{figure.stage:<18} {figure.rows:>7,} rows  largest difference "
            f"{figure.max_abs:.1e}, tolerated {figure.tolerance:.0e}"
        )
    yield (
        f"labels that differ: {parity.labels_differing} of {parity.rows:,} rows and "
        f"{parity.adversarial_rows:,} adversarial ones; {parity.undecidable} too near to call; "
        f"{parity.tokens_compared:,} tokens compared"
    )


def manifest_lines(manifest: Manifest) -> Iterator[str]:
    """Say what a bundle is, what it can, and what proves it."""
    modalities = " + ".join(manifest.modalities)
    yield f"{manifest.name} {manifest.version}: {modalities}, {manifest.strategy}"
    yield f"labels      {', '.join(manifest.labels)}"
    yield from _evaluation(manifest)
    for name, graph in manifest.graphs.items():
        yield f"{name + '.onnx':<11} {_graph(graph)}"
    for block in manifest.text:
        yield (
            f"text        {block.name}: {block.analyzer}, n-grams {block.ngrams[0]}–"
            f"{block.ngrams[1]}, {_columns(block)}cut by {block.cutter} {block.cutter_version}"
        )
    if manifest.image is not None:
        image = manifest.image
        yield (
            f"image       {image.height}×{image.width}×{image.channels} {image.colours}, "
            f"{image.fit}, {image.resize_filter}, decoded by {image.decoder_version}"
        )
    yield "parity"
    for line in parity_lines(manifest.parity):
        yield f"  {line}"
    yield f"made with   {', '.join(f'{k} {v}' for k, v in sorted(manifest.versions.items()))}"
    yield f"corpus      sha256 {manifest.corpus_sha256[:16]}…, seed {manifest.seed}"


def _columns(block: TextBlock) -> str:
    """Of a block that hashes; of others the graph's inputs and the vocabulary's file tell."""
    hashing = block.hashing
    if hashing is None:
        return ""
    signs = "with" if hashing.alternate_sign else "without"
    return f"hashed into {hashing.columns:,} columns {signs} signs, "


def _evaluation(manifest: Manifest) -> Iterator[str]:
    figures = manifest.evaluation
    if manifest.labels_from is not None:
        yield origin_line(manifest.labels_from)
    name = figure_name(manifest.labels_from, "test")
    for used, accuracy in figures.accuracy.items():
        error = figures.calibration_error.get(used)
        calibration = "" if error is None else f", calibration error {error:.3f}"
        yield f"{name:<11} {used:<6} {accuracy:.3f}{calibration}"
    if manifest.settings.get("calibrated") is False:
        yield f"{'scores':<11} uncalibrated, and not evaluated: no corpus was given"
        return
    yield f"{'':<11} always the most frequent label: {figures.baseline:.3f}; {figures.rows:,} rows"


def _graph(graph: GraphSpec) -> str:
    inputs = ", ".join(_tensor(name, tensor) for name, tensor in graph.inputs.items())
    outputs = ", ".join(_tensor(name, tensor) for name, tensor in graph.outputs.items())
    return f"{inputs} → {outputs}; {graph.file.bytes / 1024:,.0f} KiB"


def _tensor(name: str, tensor: TensorSpec) -> str:
    return f"{name}[{','.join(map(str, tensor.shape))}]"
