"""Whether a manifest's graphs, labels and modalities fit each other."""

from collections.abc import Iterator

from schemas.manifest import Manifest, TensorSpec

IDS, COUNTS, TOKENS = ".ids", ".counts", "tokens.ids"
PIXELS, PRESENT, SCORES, WEIGHTS = "pixels", "present", "scores", "weights"


def wiring_problem(manifest: Manifest) -> str | None:
    """The first thing that does not fit, in words; None when all does."""
    return next(_problems(manifest), None)


def _problems(manifest: Manifest) -> Iterator[str]:
    yield from _declared(manifest)
    wanted = {*manifest.modalities, "fusion"}
    if set(manifest.graphs) != wanted:
        yield f"has the graphs {sorted(manifest.graphs)}, and needs {sorted(wanted)}"
        return
    yield from _modalities(manifest)
    yield from _outputs(manifest)
    yield from _fusion(manifest)


def _declared(manifest: Manifest) -> Iterator[str]:
    if len(set(manifest.labels)) != len(manifest.labels) or len(manifest.labels) < 2:
        yield f"labels {list(manifest.labels)} must be two or more, each named once"
    if len(set(manifest.modalities)) != len(manifest.modalities) or not manifest.modalities:
        yield f"modalities {list(manifest.modalities)} must be one or more, each named once"
    names = [block.name for block in manifest.text]
    if len(set(names)) != len(names):
        yield f"two text blocks have one name: {names}"
    if manifest.tokens is not None and manifest.tokens.block not in names:
        yield f"tokens are of the block {manifest.tokens.block!r}, and there are {names}"
    if manifest.tokens is not None:
        hashed = [block.name for block in manifest.text if block.hashing is not None]
        if manifest.tokens.block in hashed:
            yield f"tokens are of the block {manifest.tokens.block!r}, which has no vocabulary"
    if bool(names) != ("text" in manifest.modalities):
        yield "text blocks and the modality text must both be there, or neither"
    if (manifest.image is None) == ("image" in manifest.modalities):
        yield "an image input and the modality image must both be there, or neither"


def _modalities(manifest: Manifest) -> Iterator[str]:
    if "text" in manifest.graphs:
        inputs = manifest.graphs["text"].inputs
        wanted = {block.name + end for block in manifest.text for end in (IDS, COUNTS)}
        wanted |= {TOKENS} if manifest.tokens is not None else set()
        if set(inputs) != wanted:
            yield f"the text graph takes {sorted(inputs)}, and the blocks give {sorted(wanted)}"
        for name, spec in inputs.items():
            dtype = "tensor(int64)" if name.endswith(IDS) else "tensor(float)"
            length = manifest.tokens.length if manifest.tokens and name == TOKENS else None
            yield from _tensor(name, spec, dtype, (None, length))
    image = manifest.image
    if "image" in manifest.graphs and image is not None:
        inputs = manifest.graphs["image"].inputs
        if set(inputs) != {PIXELS}:
            yield f"the image graph takes {sorted(inputs)}, and must take {PIXELS!r} alone"
            return
        sides = (None, image.height, image.width, image.channels)
        yield from _tensor(PIXELS, inputs[PIXELS], "tensor(uint8)", sides)


def _outputs(manifest: Manifest) -> Iterator[str]:
    """Widths of what the graphs give must be known, so that absent rows can be zeros."""
    for part in manifest.modalities:
        for name, spec in manifest.graphs[part].outputs.items():
            widths = spec.shape[1:]
            if spec.dtype != "tensor(float)" or not all(isinstance(side, int) for side in widths):
                drawn = f"{spec.dtype} {list(spec.shape)}"
                yield f"{name!r} is {drawn}, and must be float, its width known"


def _fusion(manifest: Manifest) -> Iterator[str]:
    graph = manifest.graphs["fusion"]
    given = {
        name: spec
        for part in manifest.modalities
        for name, spec in manifest.graphs[part].outputs.items()
    }
    for name, spec in graph.inputs.items():
        if name == PRESENT:
            yield from _tensor(name, spec, "tensor(bool)", (None, len(manifest.modalities)))
        elif name not in given:
            yield f"the fusion graph takes {name!r}, which no graph gives"
        else:
            yield from _tensor(name, spec, given[name].dtype, (None, *given[name].shape[1:]))
    if PRESENT not in graph.inputs or SCORES not in graph.outputs:
        yield f"the fusion graph must take {PRESENT!r} and give {SCORES!r}"
        return
    sides = (None, len(manifest.labels))
    yield from _tensor(SCORES, graph.outputs[SCORES], "tensor(float)", sides)
    if WEIGHTS in graph.outputs:
        weights = (None, len(manifest.modalities))
        yield from _tensor(WEIGHTS, graph.outputs[WEIGHTS], "tensor(float)", weights)


def _tensor(
    name: str, spec: TensorSpec, dtype: str, sides: tuple[int | str | None, ...]
) -> Iterator[str]:
    """`sides` None stands for a free dimension."""
    fits = len(spec.shape) == len(sides) and all(
        isinstance(found, str) if side is None else found == side
        for found, side in zip(spec.shape, sides, strict=False)
    )
    if spec.dtype != dtype or not fits:
        drawn = ["free" if side is None else side for side in sides]
        yield f"{name!r} is {spec.dtype} {list(spec.shape)}, and must be {dtype} {drawn}"
