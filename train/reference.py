"""What the training side itself says of the gate's rows: jieba, scikit-learn, Keras, and fusion.

Nothing here goes through the code that serves, but for the decoding of images, which has no
second implementation: texts are cleaned and cut anew, by jieba.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from features.images import ImageProblem, decode
from schemas.manifest import ImageInput, TextBlock
from schemas.models import WIDE, ReferenceRow
from schemas.progress import Progress
from train.answering import Answering
from train.arrays import save_arrays
from train.corpus import Corpus
from train.fusion.seam import IMAGE, TEXT, Present
from train.prepared import LIMITS
from train.reference_features import counted_terms, feature_arrays
from train.reference_rows import reference_rows, wide_rows
from train.reference_terms import jieba_with, reference_terms, reference_tokens
from train.text_model import TOKENS_LENGTH, TextModel
from train.unseen import Floats

# Tokens and regions are ten kilobytes a row.
_ROWS: Final = 1000
_USER_WORDS, _WORDS_A_TEXT = 1000, 10

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts of the rows that have one: by block the counts of their terms, scikit-learn's
    TF-IDF, and the ids of the first block's units in their order.
    """

    counts: Mapping[str, sparse.csr_matrix]
    tf_idf: sparse.csr_matrix
    ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Pictures:
    """What the CNNs say of each picture once, and by row the picture's place, -1 for none."""

    seen: Mapping[str, Mapping[str, Floats]]
    places: Rows

    def of(self, places: Rows) -> dict[str, dict[str, Floats]]:
        """The same for pictures that may come several times."""
        return {
            cnn: {name: values[places] for name, values in outputs.items()}
            for cnn, outputs in self.seen.items()
        }


def write_reference(
    folder: Path, corpus: Corpus, models: Answering, rows_max: int, progress: Progress
) -> None:
    """Write rows.jsonl, tokens.jsonl, features.npz, scores.npz and images/ into `folder`, which
    exists.
    """
    (folder / "images").mkdir()
    texts = _of_user_words(models.text)
    texts += [row.text for row in corpus.train if row.text is not None]
    rows = reference_rows(corpus.test, texts, rows_max, folder / "images")
    write_lines(folder / "rows.jsonl", rows)
    write_lines(folder / "tokens.jsonl", _tokens(rows, models.text))
    progress("writing the reference", 1, 4)
    there = np.array([bool(row.text and not row.text.isspace()) for row in rows])
    read = _texts([row.text or "" for row, has in zip(rows, there, strict=True) if has], models)
    save_arrays(folder / "features.npz", feature_arrays(read.counts, there))
    progress("writing the reference", 2, 4)
    pictures = _pictures(rows, corpus, folder, models)
    progress("writing the reference", 3, 4)
    present = np.stack((there, pictures.places >= 0), axis=1)
    save_arrays(folder / "scores.npz", _scores(read, pictures, present, models))
    progress("writing the reference", 4, 4)


def _of_user_words(model: TextModel) -> list[str]:
    """Texts of nothing else: the corpus may hold few of them, and the stream will hold more."""
    lines = [line for each in model.vectorisers for line in each.user_words]
    words = [line.split(" ")[0] for line in lines[:_USER_WORDS]]
    return ["".join(words[n : n + _WORDS_A_TEXT]) for n in range(0, len(words), _WORDS_A_TEXT)]


def write_lines(file: Path, values: Sequence[Any]) -> None:
    """Each as a line of JSON."""
    file.write_bytes(b"".join(msgspec.json.encode(value) + b"\n" for value in values))


def _tokens(rows: Sequence[ReferenceRow], model: TextModel) -> list[list[str] | None]:
    """By row what jieba gives for the first block that cuts words, where there is a text."""
    cutting = [each for each in model.vectorisers if each.block.analyzer == "words"]
    if not cutting:
        return [None for _ in rows]
    block, jieba = cutting[0].block, jieba_with(cutting[0].user_words)
    return [None if row.text is None else reference_tokens(block, row.text, jieba) for row in rows]


def _texts(texts: Sequence[str], models: Answering) -> _Texts:
    """scikit-learn's own TF-IDF, of terms that jieba cut."""
    model = models.text
    documents = {
        each.block.name: _terms(each.block, texts, each.user_words) for each in model.vectorisers
    }
    counts = {
        each.block.name: counted_terms(each.tfidf, documents[each.block.name])
        for each in model.vectorisers
    }
    weighted = [each.tfidf.transform(documents[each.block.name]) for each in model.vectorisers]
    ids = _token_ids(texts, model)
    return _Texts(counts, sparse.hstack(weighted, format="csr"), ids)


def _terms(block: TextBlock, texts: Sequence[str], user_words: tuple[str, ...]) -> list[list[str]]:
    """Per text its terms, by jieba with these user words."""
    jieba = jieba_with(user_words)
    return [reference_terms(block, text, jieba) for text in texts]


def _token_ids(texts: Sequence[str], model: TextModel) -> NDArray[np.int64]:
    """The first known units of the first block in their order, and the pad; none without need."""
    if model.tokens is None:
        return np.empty((len(texts), 0), np.int64)
    first = model.vectorisers[0]
    alone = msgspec.structs.replace(first.block, ngrams=(1, 1))
    columns = first.tfidf.vocabulary_
    ids = np.full((len(texts), TOKENS_LENGTH), len(columns), np.int64)
    for row, units in enumerate(_terms(alone, texts, first.user_words)):
        known = [columns[unit] for unit in units if unit in columns]
        ids[row, : len(known)] = known[:TOKENS_LENGTH]
    return ids


def _pictures(
    rows: Sequence[ReferenceRow], corpus: Corpus, folder: Path, models: Answering
) -> _Pictures:
    """Each file decoded and looked at once, however many rows show it."""
    files = [_file(row, corpus, folder) for row in rows]
    pixels: list[NDArray[np.uint8]] = []
    places: dict[Path | None, int] = {None: -1}
    for file in files:
        if file is not None and file not in places:
            picture = decode(file.read_bytes(), models.image_input, LIMITS)
            readable = not isinstance(picture, ImageProblem)
            places[file] = len(pixels) if readable else -1
            if not isinstance(picture, ImageProblem):
                pixels.append(picture)
    stacked = np.stack(pixels) if pixels else _none(models.image_input)
    return _Pictures(models.seen(stacked), np.array([places[file] for file in files], np.int64))


def _file(row: ReferenceRow, corpus: Corpus, folder: Path) -> Path | None:
    if row.image is None:
        return None
    return (corpus.folder if row.image_in == "corpus" else folder / "images") / row.image


def _none(image: ImageInput) -> NDArray[np.uint8]:
    return np.empty((0, image.height, image.width, image.channels), np.uint8)


def _scores(
    texts: _Texts, pictures: _Pictures, present: Present, models: Answering
) -> dict[str, NDArray[Any]]:
    """The stages' scores by name, NaN where a modality is absent; of the wide ones some rows."""
    wide = np.array(wide_rows(len(present)), np.int64)
    parts = [
        _of_rows(rows, texts, pictures, present, models, np.isin(rows, wide))
        for rows in _chunks(len(present))
    ]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {**whole, "present": present, "wide": wide}


def _chunks(count: int) -> Iterator[Rows]:
    for start in range(0, count, _ROWS):
        yield np.arange(start, min(start + _ROWS, count))


def _of_rows(
    rows: Rows,
    texts: _Texts,
    pictures: _Pictures,
    present: Present,
    models: Answering,
    wide: NDArray[np.bool_],
) -> dict[str, NDArray[Any]]:
    """What every strategy reads and says of some rows, one after the other."""
    having = np.cumsum(present[:, TEXT]) - 1
    text = having[rows[present[rows, TEXT]]]
    outputs = models.text.outputs(texts.tf_idf[text])
    outputs |= models.text.token_outputs(texts.ids[text])
    image = pictures.of(pictures.places[rows[present[rows, IMAGE]]])
    inputs = models.together(outputs, image, present[rows])
    written: dict[str, NDArray[Any]] = {}
    for strategy, fusion in models.fusions.items():
        for name, values in inputs[strategy].items():
            own = strategy in models.own_images and name.startswith("image.")
            written[f"{strategy}/{name}" if own else name] = _narrow(name, values, wide)
        written[f"{strategy}.scores"] = fusion.predict(inputs[strategy], present[rows])
        beside = fusion.beside(inputs[strategy], present[rows])
        written |= {f"{strategy}.{name}": values for name, values in beside.items()}
    return written


def _narrow(name: str, values: Floats, wide: NDArray[np.bool_]) -> NDArray[Any]:
    """Of a wide tensor those rows, in half the digits: the graphs have no more."""
    return values[wide].astype(np.float32) if name in WIDE else values
