"""What the training side itself says of the gate's rows: jieba, scikit-learn, Keras, and fusion.

Nothing here goes through the code that serves, but for the decoding of images, which has no
second implementation: texts are cleaned and cut anew, by jieba.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.images import ImageProblem, decode
from schemas.manifest import ImageInput
from schemas.models import ReferenceRow
from schemas.progress import Progress
from train.adversarial import write_rows
from train.answering import Answering
from train.arrays import save_arrays
from train.corpus import Corpus
from train.prepared import LIMITS
from train.reference_terms import reference_terms, reference_tokens
from train.text_model import TOKENS_LENGTH, TextModel
from train.unseen import Floats


def write_reference(
    folder: Path, corpus: Corpus, models: Answering, rows_max: int, progress: Progress
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
    save_arrays(folder / "scores.npz", reference_scores(rows, corpus, folder, models))
    progress("writing the reference", 3, 3)


def reference_scores(
    rows: Sequence[ReferenceRow], corpus: Corpus, folder: Path, models: Answering
) -> dict[str, NDArray[Any]]:
    """The stages' scores by name, float64[N,D], NaN where a modality is absent, and `present`."""
    pixels, readable = _pixels(rows, corpus, folder, models.image_input)
    has_text = np.array([bool(row.text and not row.text.isspace()) for row in rows])
    present = np.stack((has_text, readable), axis=1)
    texts = [row.text or "" for row, there in zip(rows, has_text, strict=True) if there]
    inputs = models.inputs(_text_outputs(texts, models.text), pixels, present)
    written: dict[str, NDArray[Any]] = {}
    for strategy, fusion in models.fusions.items():
        own = strategy in models.own_images
        for name, values in inputs[strategy].items():
            placed = f"{strategy}/{name}" if own and name.startswith("image.") else name
            written[placed] = values.astype(np.float32) if values.ndim > 2 else values
        written[f"{strategy}.scores"] = fusion.predict(inputs[strategy], present)
        beside = fusion.beside(inputs[strategy], present)
        written |= {f"{strategy}.{name}": values for name, values in beside.items()}
    return {**written, "present": present}


def _pixels(
    rows: Sequence[ReferenceRow], corpus: Corpus, folder: Path, image: ImageInput
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """uint8[N,H,W,C] and bool[N]: whether there is an image that can be decoded."""
    pixels = np.zeros((len(rows), image.height, image.width, image.channels), np.uint8)
    readable = np.zeros(len(rows), np.bool_)
    for number, row in enumerate(rows):
        if row.image is None:
            continue
        root = corpus.folder if row.image_in == "corpus" else folder / "images"
        picture = decode((root / row.image).read_bytes(), image, LIMITS)
        if not isinstance(picture, ImageProblem):
            pixels[number], readable[number] = picture, True
    return pixels, readable


def _text_outputs(texts: Sequence[str], model: TextModel) -> dict[str, Floats]:
    """scikit-learn's own TF-IDF and margins, of terms that jieba cut."""
    parts = [
        each.tfidf.transform([reference_terms(each.block, text) for text in texts])
        for each in model.vectorisers
    ]
    ids = np.array([_token_ids(text, model) for text in texts], np.int64)
    tokens = model.token_outputs(ids.reshape(len(texts), TOKENS_LENGTH))
    return model.outputs(sparse.hstack(parts, format="csr")) | tokens


def _token_ids(text: str, model: TextModel) -> list[int]:
    """The first known units of the first block in their order, and the pad."""
    first = model.vectorisers[0]
    alone = msgspec.structs.replace(first.block, ngrams=(1, 1))
    columns = first.tfidf.vocabulary_
    known = [columns[unit] for unit in reference_terms(alone, text) if unit in columns]
    return [*known, *[len(columns)] * TOKENS_LENGTH][:TOKENS_LENGTH]


def _tokens(text: str, model: TextModel) -> list[str] | None:
    """What jieba gives for the first block that cuts words."""
    for each in model.vectorisers:
        if each.block.analyzer == "words":
            return reference_tokens(each.block, text)
    return None


def _write_lines(file: Path, values: Sequence[Any]) -> None:
    file.write_bytes(b"".join(msgspec.json.encode(value) + b"\n" for value in values))
