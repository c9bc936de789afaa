"""A batch's images become pictures, each once; what the image graph gives them becomes rows again.

A picture that the graph has seen before comes as what it gave then, one vector float32[W]: all
that fusion needs of it, output by output in the order that fusion takes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.ngrams import Ints
from inference.graph import Arrays
from schemas.manifest import TensorSpec

IMAGES_MAX: Final = 8
"""Images in one run of the graph: more fall out of the processor's cache."""

Pixels = NDArray[np.uint8]
Seen = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The images of a batch.

    `rows` int64[n] have pixels, and `of` int64[n] says which of `pixels` uint8[p,H,W,C] are a
    row's. `seen_rows` int64[s] have `seen` float32[s,W] instead. Rows are in ascending order.
    """

    rows: Ints
    of: Ints
    pixels: Pixels | None
    seen_rows: Ints
    seen: Seen | None

    def between(self, start: int, stop: int) -> "Pictures":
        """Give those of the rows from `start` to before `stop`, by their places among them."""
        if self.pixels is None and self.seen is None:
            return self
        here = slice(*np.searchsorted(self.rows, (start, stop)))
        there = slice(*np.searchsorted(self.seen_rows, (start, stop)))
        kept, of = np.unique(self.of[here], return_inverse=True)
        seen = None if self.seen is None else self.seen[there]
        return Pictures(
            self.rows[here] - start,
            of,
            None if self.pixels is None or not len(kept) else self.pixels[kept],
            self.seen_rows[there] - start,
            None if seen is None or not len(seen) else seen,
        )

    def runs(self) -> Iterator[tuple[Ints, Ints, Pixels]]:
        """Pictures that run together: the rows that have them, which of them each has, and they."""
        if self.pixels is None:
            return
        for start in range(0, len(self.pixels), IMAGES_MAX):
            stop = start + IMAGES_MAX
            here = (self.of >= start) & (self.of < stop)
            yield self.rows[here], self.of[here] - start, self.pixels[start:stop]


def pictures(images: Sequence[Pixels | None], seen: Sequence[Seen | None]) -> Pictures:
    """Stack the images of a batch: one and the same array is one picture. `seen` goes first."""
    # They are held while their identities are compared: one that is gone gives its own away.
    held = [
        (row, image)
        for row, (image, known) in enumerate(zip(images, seen, strict=True))
        if image is not None and known is None
    ]
    vectors = [(row, vector) for row, vector in enumerate(seen) if vector is not None]
    once = {id(image): image for _, image in held}
    places = {key: place for place, key in enumerate(once)}
    return Pictures(
        np.array([row for row, _ in held], np.int64),
        np.array([places[id(image)] for _, image in held], np.int64),
        np.stack(list(once.values())) if once else None,
        np.array([row for row, _ in vectors], np.int64),
        np.stack([vector for _, vector in vectors]) if vectors else None,
    )


NO_PICTURES: Final = pictures((), ())
"""Those of a bundle that knows no images."""


class SeenLayout:
    """Where each output of the image graph lies in the vector of a picture that was seen."""

    def __init__(self, outputs: Mapping[str, TensorSpec]) -> None:
        # The first side is the batch; the others are known (`inference.wiring`).
        self._sides = {name: tuple(map(int, spec.shape[1:])) for name, spec in outputs.items()}
        ends = accumulate(map(prod, self._sides.values()), initial=0)
        self._places = dict(zip(self._sides, pairwise(ends), strict=True))

    def spread(self, given: Pictures, outputs: Arrays) -> None:
        """Write what was seen into the rows of `outputs`."""
        if given.seen is None:
            return
        for name, (start, stop) in self._places.items():
            rows = given.seen[:, start:stop]
            outputs[name][given.seen_rows] = rows.reshape(len(rows), *self._sides[name])

    def gathered(self, given: Pictures, outputs: Arrays) -> list[tuple[int, Seen]]:
        """Take each picture's vector out of `outputs`, by one row that has it."""
        if given.pixels is None or not self._places:
            return []
        _, first = np.unique(given.of, return_index=True)
        rows = given.rows[first]
        parts = [outputs[name][rows].reshape(len(rows), -1) for name in self._places]
        return list(zip(rows.tolist(), np.concatenate(parts, axis=1), strict=True))
