"""One tensor, by row: training's and the bundle's, and the rows where they are too far apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from export.errors import Difference
from export.reference import Reference
from schemas.manifest import ParityFigure
from schemas.models import ReferenceRow

_CHARACTERS_SHOWN: Final = 40
_VALUES_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Stage:
    """Training's float64 and the bundle's float32; NaN where absent.

    `places` are those of its rows among the reference's.
    """

    name: str
    reference: NDArray[np.float64]
    found: NDArray[np.float64]
    tolerance: float
    places: NDArray[np.int64]

    @property
    def differences(self) -> NDArray[np.float64]:
        """The largest difference of each row; absent on one side alone is infinitely far."""
        apart = np.abs(self.reference - self.found)
        apart[np.isnan(self.reference) & np.isnan(self.found)] = 0.0
        apart[np.isnan(apart)] = np.inf
        largest: NDArray[np.float64] = apart.max(axis=1, initial=0.0)
        return largest

    @property
    def figure(self) -> ParityFigure:
        """How far apart the stage is at most, and over how many rows that hold a value."""
        rows = int((~np.isnan(self.reference).all(axis=1)).sum())
        largest = float(self.differences.max(initial=0.0))
        return ParityFigure(self.name, rows, largest, self.tolerance)


def failures(stage: Stage, reference: Reference) -> Iterator[Difference]:
    """The rows beyond the tolerance, worst first."""
    apart = stage.differences
    for row in np.argsort(-apart, kind="stable").tolist():
        if apart[row] <= stage.tolerance:
            return
        post = reference.rows[int(stage.places[row])]
        yield Difference(
            stage.name,
            post.id,
            shown(post),
            _numbers(stage.reference[row]),
            _numbers(stage.found[row]),
            float(apart[row]),
            stage.tolerance,
        )


def shown(row: ReferenceRow) -> str:
    """The row's text, shortened and on one line, and its image."""
    parts = []
    if row.text is not None:
        parts.append(f'text "{_one_line(row.text)}"')
    if row.image is not None:
        parts.append(f"image {row.image}")
    return ", ".join(parts)


def _one_line(text: str) -> str:
    start = text[:_CHARACTERS_SHOWN]
    readable = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in start)
    return readable + "…" * (len(text) > len(start))


def _numbers(values: NDArray[np.float64]) -> str:
    found = " ".join(f"{value:.7f}" for value in values[:_VALUES_SHOWN])
    return found + (f" … ({len(values)} in all)" if len(values) > _VALUES_SHOWN else "")
