"""A corpus to the rows of export's gate: its own, mixed anew, and odd ones made by code.

A picture costs the gate some hundred times what a text costs. So many rows are texts, with
pictures that other rows have too.
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

import numpy as np

from schemas.models import ReferenceRow
from train.adversarial import texts as odd_texts
from train.adversarial import write_rows
from train.altered import altered
from train.rows import Row

ROWS: Final = 10_000
"""Of a gate, unless the settings say otherwise."""

WIDE_ROWS: Final = 500
"""The rows of which embeddings, tokens and regions are written down, a kilobyte or ten each."""

_SEED: Final = 20
# Of altered texts every fourth has a picture besides.
_PICTURE_EVERY: Final = 4


def reference_rows(
    test: Sequence[Row], texts: Sequence[str], rows_max: int, images: Path
) -> list[ReferenceRow]:
    """`rows_max` rows: of the test half up to a half of that; the odd ones, whose pictures are
    written into the folder `images`; of `texts` some with pictures of test rows; and altered texts.
    """
    shown = [
        ReferenceRow(row.id, row.text, row.image, "evaluation") for row in test[: rows_max // 2]
    ]
    odd = write_rows(images)
    real = list(dict.fromkeys(texts))
    missing = max(0, rows_max - len(shown) - len(odd))
    paired = _paired(real[: missing // 2], shown)
    sources = [*real, *(row.text for row in shown if row.text)] or _words()
    made = altered(sources, missing - len(paired), _SEED)
    return [*shown, *odd, *paired, *_altered_rows(made, shown)]


def wide_rows(count: int) -> list[int]:
    """The places of WIDE_ROWS of `count` rows, as far apart as they can be."""
    places = np.linspace(0, count - 1, min(count, WIDE_ROWS)).astype(np.int64)
    return [int(place) for place in np.unique(places)]


def _paired(texts: Sequence[str], shown: Sequence[ReferenceRow]) -> list[ReferenceRow]:
    """Texts of training rows, each with some test row's picture."""
    pictures = cycle(_pictures(shown))
    return [
        ReferenceRow(f"paired {number}", text, next(pictures), "paired")
        for number, text in enumerate(texts)
    ]


def _altered_rows(texts: Sequence[str], shown: Sequence[ReferenceRow]) -> list[ReferenceRow]:
    pictures = cycle(_pictures(shown))
    return [
        ReferenceRow(
            f"altered {number}",
            text,
            next(pictures) if number % _PICTURE_EVERY == 0 else None,
            "adversarial",
        )
        for number, text in enumerate(texts)
    ]


def _words() -> list[str]:
    """What to alter where nobody gave a text."""
    return [text for text in odd_texts().values() if text.strip()]


def _pictures(shown: Sequence[ReferenceRow]) -> Sequence[str | None]:
    """Those of the test rows in another order; one None where there are none."""
    found = sorted({row.image for row in shown if row.image is not None})
    if not found:
        return [None]
    order = np.random.default_rng(_SEED).permutation(len(found))
    return [found[place] for place in order]
