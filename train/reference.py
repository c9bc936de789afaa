"""What the training side itself says of the gate's rows: jieba, scikit-learn, Keras, and fusion.

Nothing here goes through the code that serves, but for the decoding of images, which has no
second implementation: texts are cleaned and cut anew, by jieba.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.models import ReferenceRow
from schemas.progress import Progress
from train.adversarial import write_rows
from train.arrays import save_arrays
from train.corpus import Corpus
from train.fusion.seam import FittedFusion
from train.image_model import scored
from train.text_model import TextModel
from train.unseen import Floats

_WHITE_SPACE = re.compile(r"\s+")
_RUN = re.compile(r"(.)\1+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TrainedModels:
    """Everything that answers."""

    text: TextModel
    image: Any
    fusions: Mapping[str, FittedFusion]


def write_reference(
    folder: Path, corpus: Corpus, models: TrainedModels, rows_max: int, progress: Progress
) -> None:
    """Write rows.jsonl, tokens.jsonl, scores.npz and images/ into `folder`, which exists."""
    (folder / "images").mkdir()
    rows = [
        ReferenceRow(row.id, row.text, row.image, "evaluation") for row in corpus.test[:rows_max]
    ]
    rows += write_rows(folder / "images")
    _write_lines(folder / "rows.jsonl", rows)
    progress("writing the reference", 1, 3)
    tokens = [None if row.text is None else _tokens(row.text, models.text) for row in rows]
    _write_lines(folder / "tokens.jsonl", tokens)
    progress("writing the reference", 2, 3)
    save_arrays(folder / "scores.npz", reference_scores(rows, corpus, models))
    progress("writing the reference", 3, 3)


def reference_scores(
    rows: Sequence[ReferenceRow], corpus: Corpus, models: TrainedModels
) -> dict[str, NDArray[Any]]:
    """The stages' scores by name, float64[N,D], NaN where a modality is absent, and `present`."""
    pixels, readable = _pixels(rows, corpus)
    has_text = np.array([bool(row.text and not row.text.isspace()) for row in rows])
    present = np.stack((has_text, readable), axis=1)
    scores: dict[str, Floats] = {}
    texts = [row.text or "" for row, there in zip(rows, has_text, strict=True) if there]
    for name, values in _text_scores(texts, models.text).items():
        scores[name] = _spread(values, has_text)
    scores["image.scores"] = _spread(scored(pixels[readable], models.image), readable)
    for strategy, fusion in models.fusions.items():
        scores[f"{strategy}.scores"] = fusion.predict(scores, present)
    return {**scores, "present": present}


def _spread(values: Floats, there: NDArray[np.bool_]) -> Floats:
    spread = np.full((len(there), values.shape[1]), np.nan)
    spread[there] = values
    return spread


def _pixels(
    rows: Sequence[ReferenceRow], corpus: Corpus
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    raise NotImplementedError


def _text_scores(texts: Sequence[str], model: TextModel) -> dict[str, Floats]:
    """scikit-learn's own TF-IDF and margins, of terms that jieba cut."""
    raise NotImplementedError
