"""A brought text pipeline: what serving makes of it, and what its owner's own code says."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import skops.io
from numpy.typing import NDArray
from scipy import sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.pipeline import Pipeline

from features.clean import clean
from schemas.manifest import FileSpec, TextBlock
from schemas.models import RestScores
from train.arrays import save_arrays
from train.brought.dense import Dense, read_dense
from train.brought.linear import Linear, read_linear
from train.brought.vectoriser import (
    Tokenizer,
    Vectorised,
    read_vectoriser,
    weighted_by,
)
from train.calibration import Calibration
from train.errors import BroughtError
from train.reference_features import counted_terms
from train.reference_terms import common_words, reference_tokens
from train.unseen import Floats

_SMALLEST_PROBABILITY: Final = 1e-7
_TEXTS_MADE: Final = 1000
_TERMS_EACH: Final = 12
_COMMON_WORDS: Final = 5000
_SEED: Final = 21
# Jieba's own words, of the text as it is.
_AS_IT_IS: Final = TextBlock(
    "raw",
    FileSpec("", "", 0),
    lowercase=False,
    collapse_white_space=False,
    run_characters_max=2**31 - 1,
    han_run_characters_max=2**31 - 1,
)


@dataclass(frozen=True, slots=True)
class BroughtText:
    """`order[i]` is the place of label i among the pipeline's classes."""

    pipeline: Any
    vectorised: Vectorised
    head: Linear | Dense
    order: tuple[int, ...]

    @property
    def block(self) -> TextBlock:
        """How serving reads a text."""
        return self.vectorised.block

    @property
    def rest(self) -> RestScores | None:
        """What rest.skops gives, where there is one."""
        return self.head.scores if isinstance(self.head, Dense) else None

    @property
    def cost(self) -> str | None:
        """Why its graph costs more than a matrix, in words; None where it does not."""
        if not isinstance(self.head, Dense):
            return None
        classifier = type(self.head.rest.steps[-1][1]).__name__
        return (
            f"text is not linear: {len(self.head.coefficients):,} features of each post enter "
            f"{classifier}, which costs more than a LinearSVC on words "
            "(how much: docs/bring-your-own.md)"
        )

    @property
    def uncalibrated(self) -> Calibration:
        """What the scores say by themselves."""
        count = len(self.order)
        if self.head.pairs:
            return Calibration(_votes(count)[:, self.order], np.zeros(count))
        if self.head.scores == "margins" and count == 2:
            return Calibration(np.array([[-0.5, 0.5]]), np.zeros(2))
        return Calibration(np.eye(count), np.zeros(count))

    def scores(self, texts: Sequence[str]) -> Floats:
        """`text.scores` float64[N,Kt] by the owner's own code, long runs cut as serving does."""
        given = self._cleaned(texts)
        if self.head.scores == "probabilities":
            found = self.pipeline.predict_proba(given)[:, self.order]
            return np.asarray(np.log(np.maximum(found, _SMALLEST_PROBABILITY)), np.float64)
        margins = np.asarray(self.pipeline.decision_function(given), np.float64)
        if self.head.pairs:
            return margins
        if margins.ndim == 1:
            return margins[:, None] * (1 if self.order[0] == 0 else -1)
        return margins[:, self.order]

    def counts(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """How often each term stands in each text, by the owner's own vectoriser."""
        return counted_terms(self.pipeline.steps[0][1], self._cleaned(texts))

    def made_of_terms(self) -> list[str]:
        """Texts of the vocabulary's own words, to be altered where there is no corpus; of common
        ones where terms are hashed.
        """
        chance = np.random.default_rng(_SEED)
        terms = self.vectorised.terms or common_words(_COMMON_WORDS)
        joint = "" if "char" in self.block.analyzer else " "
        drawn = chance.integers(0, len(terms), (_TEXTS_MADE, _TERMS_EACH))
        made = [joint.join(terms[place] for place in row) for row in drawn.tolist()]
        return [text for text in made if text.strip()]

    def predicted(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64[N]: the labels of the owner's `.predict`."""
        classes = list(self.pipeline.classes_)
        label = {classes[place]: number for number, place in enumerate(self.order)}
        said = self.pipeline.predict(self._given(texts))
        return np.array([label[each] for each in said], np.int64)

    def labels(self, scores: Floats) -> NDArray[np.int64]:
        """int64[N]: the labels that raw scores stand for; of equal ones, as scikit-learn does, the
        first in the order of its classes.
        """
        places = np.asarray(self.order, np.int64)
        labels = np.argsort(places)
        if scores.shape[1] == 1:
            second = scores[:, 0] * (1 if places[0] == 0 else -1) > 0
            return np.asarray(labels[second.astype(np.int64)], np.int64)
        if self.head.pairs:
            scores = np.where(scores > 0, 1.0, -1.0) @ np.sign(self.uncalibrated.matrix)
        return np.asarray(labels[scores[:, labels].argmax(axis=1)], np.int64)

    def save(self, folder: Path) -> None:
        """Write model.npz, and a vocabulary where there is one, as `schemas.models` says."""
        if self.block.hashing is None:
            terms = msgspec.json.encode(self.vectorised.terms)
            (folder / f"{self.block.name}.vocabulary.json").write_bytes(terms)
        arrays = {
            f"{self.block.name}.idf": self.vectorised.weighting.idf,
            "coefficients": self.head.coefficients,
            "intercepts": self.head.intercepts,
        }
        if isinstance(self.head, Dense):
            arrays["order"] = np.asarray(self.order, np.int64)
            skops.io.dump(self.head.rest, folder / "rest.skops")
        elif self.head.slopes is not None and self.head.offsets is not None:
            arrays |= {"slopes": self.head.slopes, "offsets": self.head.offsets}
        save_arrays(folder / "model.npz", arrays)

    def _cleaned(self, texts: Sequence[str]) -> list[str]:
        """As the owner gave them, long runs cut as serving does."""
        block = msgspec.structs.replace(self.block, lowercase=False, strip_accents=False)
        return self._given([clean(block, text) for text in texts])

    def _given(self, texts: Sequence[str]) -> list[str]:
        """The texts as the owner gave them to the pipeline."""
        if self.block.cut_first:
            return [" ".join(reference_tokens(_AS_IT_IS, text)) for text in texts]
        return list(texts)


def read_text(pipeline: Any, tokenizer: Tokenizer | None, labels: Sequence[str]) -> BroughtText:
    """What serving can make of a fitted pipeline; `labels` in their order. Raises BroughtError."""
    if not isinstance(pipeline, Pipeline) or len(pipeline.steps) < 2:
        raise BroughtError(
            f"what was brought is a {type(pipeline).__name__}, and not a scikit-learn Pipeline of "
            "vectoriser and classifier: put both into make_pipeline(…), fitted as they are"
        )
    steps = [step for _, step in pipeline.steps if step is not None and step != "passthrough"]
    vectorised, later = _weighted(read_vectoriser(steps[0], tokenizer), steps[1:-1])
    order = _order(steps[-1].classes_.tolist(), labels)
    linear = read_linear(later, steps[-1])
    head: Linear | Dense
    if linear is None:
        head = read_dense(later, steps[-1], vectorised.columns)
    else:
        head = linear.in_order(order)
    if head.coefficients.shape[1] != vectorised.columns:
        raise BroughtError(
            f"the vectoriser has {vectorised.columns} columns, and what follows it takes "
            f"{head.coefficients.shape[1]}: they were not fitted together"
        )
    return BroughtText(_answering(steps, vectorised.block), vectorised, head, order)


def classes_of(pipeline: Any) -> tuple[str, ...]:
    """The names of the pipeline's classes, in its order. Raises BroughtError."""
    if not hasattr(pipeline, "classes_"):
        raise BroughtError("the pipeline has no classes: its last step must be a fitted classifier")
    return tuple(str(each) for each in pipeline.classes_.tolist())


def _weighted(vectorised: Vectorised, steps: Sequence[Any]) -> tuple[Vectorised, Sequence[Any]]:
    """With the weighting steps that follow it, and the steps that are left."""
    for number, step in enumerate(steps):
        after = weighted_by(vectorised, step)
        if after is None:
            return vectorised, steps[number:]
        vectorised = after
    return vectorised, ()


def _answering(steps: Sequence[Any], block: TextBlock) -> Pipeline:
    """The owner's pipeline, with jieba where the file could not carry it, and margins by pair."""
    vectoriser, classifier = copy(steps[0]), copy(steps[-1])
    if block.analyzer == "words" and not block.cut_first and vectoriser.tokenizer is None:
        vectoriser.tokenizer = jieba_words
    if not isinstance(classifier, CalibratedClassifierCV) and hasattr(
        classifier, "decision_function_shape"
    ):
        classifier.decision_function_shape = "ovo"
    named = [(f"step{number}", step) for number, step in enumerate(steps[1:-1])]
    return Pipeline([("vectoriser", vectoriser), *named, ("classifier", classifier)])


def jieba_words(text: str) -> list[str]:
    """Jieba's words without white space."""
    return [word for word in reference_tokens(_AS_IT_IS, text) if not word.isspace()]


def _votes(count: int) -> Floats:
    """float64[pairs,count]: a margin between i and j speaks for i and against j."""
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    votes = np.zeros((len(pairs), count))
    for row, (i, j) in enumerate(pairs):
        votes[row, i], votes[row, j] = 1.0, -1.0
    return votes


def _order(classes: Sequence[Any], labels: Sequence[str]) -> tuple[int, ...]:
    """By label the place of its class: classes are names of labels, or their numbers."""
    names = [str(each) for each in classes]
    if sorted(names) == sorted(labels):
        return tuple(names.index(label) for label in labels)
    if sorted(classes, key=str) == sorted(range(len(labels)), key=str):
        return tuple(list(classes).index(number) for number in range(len(labels)))
    raise BroughtError(
        f"the pipeline's classes are {', '.join(names)}, and the labels {', '.join(labels)}: they "
        f"must be the same names, or the numbers 0 to {len(labels) - 1}"
    )
