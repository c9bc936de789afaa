"""Strings and pixels to scores: host work first, then the graphs, wired by tensor name."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.ngrams import Counts, Ints
from features.text import TextVectoriser
from inference.bundle import Bundle
from inference.graph import NUMPY_TYPES, Arrays, Graph
from inference.pictures import NO_PICTURES, Pictures, SeenLayout, pictures
from inference.wiring import COUNTS, IDS, PIXELS, PRESENT, SCORES, TOKENS, WEIGHTS
from schemas.manifest import Manifest, TensorSpec
from schemas.verdict import Modality

CELLS_MAX: Final = 16_384
"""Rows times ids in one run of the text graph; a longer row runs alone."""

Run = tuple[Ints, Ints | slice, Arrays]
"""Rows of the batch, which rows of a graph's outputs are theirs, and the graph's inputs."""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """Rows that run together: their places in the batch, ascending, and the graph's inputs."""

    rows: Ints
    inputs: Arrays

    def between(self, start: int, stop: int) -> Iterator["TextChunk"]:
        """Give its part of these rows of the batch, if it has one, by their places among them."""
        first, last = np.searchsorted(self.rows, (start, stop))
        if first < last:
            inputs = {name: each[first:last] for name, each in self.inputs.items()}
            yield TextChunk(self.rows[first:last] - start, inputs)


@dataclass(frozen=True, slots=True)
class Features:
    """A batch ready for the graphs."""

    present: NDArray[np.bool_]
    text: tuple[TextChunk, ...]
    pictures: Pictures

    @property
    def rows(self) -> int:
        """The posts of the batch."""
        return len(self.present)

    def between(self, start: int, stop: int) -> "Features":
        """Give the rows from `start` to before `stop` as a batch; texts are not copied."""
        return Features(
            self.present[start:stop],
            tuple(part for chunk in self.text for part in chunk.between(start, stop)),
            self.pictures.between(start, stop),
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """`scores` float32[N,K] sum to 1; `present` bool[N,M] says what they rest on.

    `pictures` are the batch's, each once: a row that has it, and float32[W], all that fusion needs
    of it. `Classifier.features` takes that for a later post in the place of its pixels.
    """

    scores: NDArray[np.float32]
    present: NDArray[np.bool_]
    weights: NDArray[np.float32] | None
    pictures: Sequence[tuple[int, NDArray[np.float32]]]


class Classifier:
    """Runs a bundle. `features` and `scores` may run on different threads."""

    def __init__(self, bundle: Bundle) -> None:
        self.manifest: Final[Manifest] = bundle.manifest
        self.labels: Final = bundle.manifest.labels
        self.identity: Final = hashlib.sha256(msgspec.json.encode(bundle.manifest)).digest()
        """Tells this bundle from any other: the manifest has the hash of each of its files."""
        self._graphs = bundle.graphs
        self._vectorisers = bundle.vectorisers
        self._tokens = bundle.tokens
        self._columns = {name: m for m, name in enumerate(self.manifest.modalities)}
        fusion = self.manifest.graphs["fusion"]
        self._fusion_inputs = tuple(name for name in fusion.inputs if name != PRESENT)
        self._seen = SeenLayout(self._fused_of("image"))
        self._fusion_outputs = tuple(n for n in (SCORES, WEIGHTS) if n in fusion.outputs)

    def classify(
        self, texts: Sequence[str | None], pixels: Sequence[NDArray[np.uint8] | None]
    ) -> Scores:
        """`features`, then `scores`."""
        return self.scores(self.features(texts, pixels))

    def features(
        self,
        texts: Sequence[str | None],
        pixels: Sequence[NDArray[np.uint8] | None],
        seen: Sequence[NDArray[np.float32] | None] | None = None,
    ) -> Features:
        """Host work: cut, count, stack. None, or a text of white space alone, is absent.

        Rows that have one and the same array as pixels share a run of the image graph. A row with
        `seen` float32[W], which this bundle's `Scores.pictures` gave before, needs none.
        """
        seen = [None] * len(texts) if seen is None else seen
        if not len(texts) == len(pixels) == len(seen):
            raise ValueError(f"{len(texts)} texts and {len(pixels)} images are no batch")
        present = np.zeros((len(texts), len(self._columns)), np.bool_)
        if "text" in self._columns:
            present[:, self._columns["text"]] = [_holds(text) for text in texts]
        images = NO_PICTURES
        if "image" in self._columns:
            images = pictures(pixels, seen)
            present[images.rows, self._columns["image"]] = True
            present[images.seen_rows, self._columns["image"]] = True
        text_rows = self._rows(present, "text")
        return Features(present, tuple(self._text_chunks(texts, text_rows)), images)

    def scores(self, features: Features) -> Scores:
        """The fused scores of each row; with nothing present they are the bundle's prior."""
        given = self._outputs(features, self._fusion_inputs)
        found = self._fuse(features, given, self._fusion_outputs)
        seen = self._seen.gathered(features.pictures, given)
        return Scores(found[SCORES], features.present, found.get(WEIGHTS), seen)

    def stages(self, features: Features) -> Arrays:
        """Every output of every graph by name, zeros where a modality is absent.

        Of pictures that were seen before there is only what fusion needs.
        """
        names = [
            name for part in self.manifest.modalities for name in self.manifest.graphs[part].outputs
        ]
        given = self._outputs(features, names)
        fused = self._fuse(features, given, tuple(self.manifest.graphs["fusion"].outputs))
        return {**given, **fused, PRESENT: features.present}

    def pieces(self, text: str) -> tuple[list[str], str]:
        """The text as the first block that cuts words cuts it, else as the first block does; and
        what stands between the pieces, so that together they are the text again.
        """
        words = [each for each in self._vectorisers if each.block.analyzer == "words"]
        own = (*words, *self._vectorisers)[0]
        return own.cut(text), " " if own.block.analyzer == "pattern" else ""

    def _rows(self, present: NDArray[np.bool_], modality: Modality) -> Ints:
        column = self._columns.get(modality)
        return np.empty(0, np.int64) if column is None else np.flatnonzero(present[:, column])

    def _text_chunks(self, texts: Sequence[str | None], rows: Ints) -> Iterator[TextChunk]:
        if not len(rows):
            return
        held = [texts[row] or "" for row in rows]
        counts = [vectoriser.counts(held) for vectoriser in self._vectorisers]
        tokens = self._tokens(held)
        for places in chunks(np.max([block.lengths for block in counts], axis=0)):
            inputs = _inputs(self._vectorisers, counts, places)
            if tokens is not None:
                inputs[TOKENS] = tokens[places]
            yield TextChunk(rows[places], inputs)

    def _fused_of(self, part: Modality) -> dict[str, TensorSpec]:
        """What fusion takes of a modality's graph, in the order that it takes it."""
        given = self.manifest.graphs[part].outputs if part in self._columns else {}
        return {name: given[name] for name in self._fusion_inputs if name in given}

    def _outputs(self, features: Features, names: Sequence[str]) -> Arrays:
        """The named outputs of the modalities' graphs, by row of the batch."""
        outputs: Arrays = {}
        for part, runs in (("text", _text_runs(features)), ("image", _image_runs(features))):
            if part in self._graphs:
                wanted = [n for n in names if n in self.manifest.graphs[part].outputs]
                outputs |= self._run(part, wanted, runs, features.rows)
        self._seen.spread(features.pictures, outputs)
        return outputs

    def _run(self, part: str, names: Sequence[str], runs: Iterator[Run], rows: int) -> Arrays:
        specs = self.manifest.graphs[part].outputs
        outputs: Arrays = {name: _zeros(rows, specs[name]) for name in names}
        if names:
            graph: Graph = self._graphs[part]
            for places, which, inputs in runs:
                for name, array in graph.run(inputs, names).items():
                    outputs[name][places] = array[which]
        return outputs

    def _fuse(self, features: Features, given: Arrays, outputs: Sequence[str]) -> Arrays:
        inputs: dict[str, NDArray[Any]] = {name: given[name] for name in self._fusion_inputs}
        inputs[PRESENT] = features.present
        return self._graphs["fusion"].run(inputs, outputs)


def chunks(lengths: Ints) -> list[Ints]:
    """Places in the batch, ascending, that run together: rows times the longest is bounded."""
    if len(lengths) * int(lengths.max(initial=1)) <= CELLS_MAX:
        return [np.arange(len(lengths))]
    parts: list[Ints] = []
    order = np.argsort(lengths, kind="stable")[::-1]
    start = 0
    while start < len(order):
        rows = max(1, CELLS_MAX // max(1, int(lengths[order[start]])))
        parts.append(np.sort(order[start : start + rows]))
        start += rows
    return parts


def _holds(text: str | None) -> bool:
    """As `Post.has_text`: white space alone is no text."""
    return text is not None and not (text == "" or text.isspace())


def _zeros(rows: int, spec: TensorSpec) -> NDArray[Any]:
    sides = [side for side in spec.shape[1:] if isinstance(side, int)]
    return np.zeros((rows, *sides), NUMPY_TYPES[spec.dtype])


def _inputs(
    vectorisers: Sequence[TextVectoriser], counts: Sequence[Counts], places: Ints
) -> Arrays:
    inputs: Arrays = {}
    for vectoriser, block in zip(vectorisers, counts, strict=True):
        name = vectoriser.block.name
        inputs[name + IDS], inputs[name + COUNTS] = block.packed(places)
    return inputs


def _text_runs(features: Features) -> Iterator[Run]:
    for chunk in features.text:
        yield chunk.rows, slice(None), chunk.inputs


def _image_runs(features: Features) -> Iterator[Run]:
    for rows, which, pixels in features.pictures.runs():
        yield rows, which, {PIXELS: pixels}
