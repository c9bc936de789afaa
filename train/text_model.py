"""Texts and targets to TF-IDF with a linear SVM, one-vs-rest, and out-of-fold margins.

Terms come from `features`, the code that serves; TF-IDF is scikit-learn's. The SVM's target is
`text_label` where the corpus has it, what the text itself shows, else `label`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from features.text import TextVectoriser, terms_of
from schemas.manifest import RUN_CHARACTERS_MAX, FileSpec, TextBlock
from schemas.progress import Progress, silent
from train.arrays import save_arrays
from train.calibration import Labels, calibrate, log_loss
from train.class_weights import for_scikit_learn, row_weights
from train.settings import TrainSettings
from train.unseen import Fitted, Floats, Unseen, joined, unseen_scores
from train.user_words import checked, served
from train.weighted_svm import WeightedSvm, fit_weighted_svm

STEP: Final = "fitting the SVM"
_NOT_YET_HASHED: Final = ""
TOKENS_LENGTH: Final = 64
"""Words of a text that a strategy attends to."""
_TOKEN_SIDES: Final = 32
_USER_WORDS: Final = "text/user_words.json"


@dataclass(frozen=True, slots=True)
class Vectoriser:
    """A block with scikit-learn's fitted TfidfVectorizer, which takes lists of terms."""

    block: TextBlock
    tfidf: Any
    user_words: tuple[str, ...] = ()
    """Lines of jieba's user dictionary, as `train.user_words.checked` gives them."""

    @property
    def vocabulary(self) -> list[str]:
        """The terms; the index is the column."""
        return [str(term) for term in self.tfidf.get_feature_names_out()]

    @property
    def served_words(self) -> tuple[str, ...]:
        """The user words as the cutter that serves takes them."""
        return served(self.user_words) if self.user_words else ()

    def terms(self, texts: Sequence[str]) -> list[list[str]]:
        """Per text its terms."""
        return terms_of(self.block, texts, self.served_words)


@dataclass(frozen=True, slots=True)
class TextModel:
    """Vectorisers side by side, the SVM on them, and the projection to the embedding
    float64[ΣV,D], if any.
    """

    vectorisers: tuple[Vectoriser, ...]
    svm: WeightedSvm
    embedding: Floats | None
    tokens: Floats | None = None
    """float64[V,D]: a row for each term of the first block, for single units in their order."""

    def outputs(self, x: sparse.csr_matrix) -> dict[str, Floats]:
        """`text.scores` float64[N,Kt], `text.embedding` float64[N,D], by scikit-learn."""
        outputs = {"text.scores": self.svm.margins(x)}
        if self.embedding is not None:
            outputs["text.embedding"] = np.asarray(x @ self.embedding)
        return outputs

    def token_ids(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """int64[N,L] of the first block, as serving makes them."""
        first = self.vectorisers[0]
        served_alike = TextVectoriser(first.block, first.vocabulary, first.served_words)
        return served_alike.ordered(texts, TOKENS_LENGTH)

    def token_outputs(self, ids: NDArray[np.int64]) -> dict[str, Floats]:
        """`text.tokens` float64[N,L,D] and `text.mask` float64[N,L], if there is a table."""
        if self.tokens is None:
            return {}
        padded = np.vstack([self.tokens, np.zeros((1, self.tokens.shape[1]))])
        mask = np.asarray(ids < len(self.tokens), np.float64)
        return {"text.tokens": padded[ids], "text.mask": mask}

    def save(self, folder: Path) -> None:
        """Write vocabularies, user words and model.npz as `schemas.models` says."""
        arrays = {"coefficients": self.svm.coefficients, "intercepts": self.svm.intercepts}
        if self.embedding is not None:
            arrays["embedding"] = self.embedding
        if self.tokens is not None:
            arrays["tokens"] = self.tokens
        for vectoriser in self.vectorisers:
            name = vectoriser.block.name
            arrays[f"{name}.idf"] = vectoriser.tfidf.idf_
            vocabulary = msgspec.json.encode(vectoriser.vocabulary)
            (folder / f"{name}.vocabulary.json").write_bytes(vocabulary)
            if vectoriser.user_words:
                words = msgspec.json.encode(vectoriser.served_words)
                (folder / Path(_USER_WORDS).name).write_bytes(words)
        save_arrays(folder / "model.npz", arrays)


@dataclass(frozen=True, slots=True)
class TextRows:
    """The texts that the model learns from: ids, texts, targets and labels, int64[N] each."""

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    targets: Labels
    labels: Labels
    labels_count: int
    folds: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TextTraining:
    """The shipped model, and what fusion may learn from."""

    model: Fitted[TextModel]
    folds: tuple[Fitted[Any], ...]
    vectorisers: Fitted[tuple[Vectoriser, ...]]
    scores: Unseen
    embedding: Unseen | None
    cost: float


def blocks_of(settings: TrainSettings) -> tuple[TextBlock, ...]:
    """The vectorisers that the settings ask for."""
    cutter_version, own_words = version("rjieba"), bool(settings.text_user_words)
    blocks = []
    if settings.text_words_ngrams != (0, 0):
        blocks.append(
            TextBlock(
                "words",
                FileSpec("text/words.vocabulary.json", _NOT_YET_HASHED, 0),
                cutter_version=cutter_version,
                user_words=FileSpec(_USER_WORDS, _NOT_YET_HASHED, 0) if own_words else None,
                ngrams=settings.text_words_ngrams,
            )
        )
    if settings.text_characters_ngrams != (0, 0):
        blocks.append(
            TextBlock(
                "characters",
                FileSpec("text/characters.vocabulary.json", _NOT_YET_HASHED, 0),
                analyzer="char",
                # Nothing guesses here, and how often a character stands in a row says something.
                han_run_characters_max=RUN_CHARACTERS_MAX,
                ngrams=settings.text_characters_ngrams,
            )
        )
    return tuple(blocks)


def fit_text(
    rows: TextRows,
    settings: TrainSettings,
    embedding_wanted: int | None,
    progress: Progress = silent,
) -> TextTraining:
    """Fit all; `embedding_wanted` is the embedding's width, None for none."""
    steps = len(settings.text_costs) + 1
    progress(STEP, 0, steps)
    vectorisers = Fitted(
        "text vectorisers",
        tuple(_vectoriser(block, rows.texts, settings) for block in blocks_of(settings)),
        frozenset(rows.ids),
        learned_labels=False,
    )
    x = tf_idf(vectorisers.model, rows.texts)
    cost, folds, scores = _best_cost(x, rows, settings, progress)
    svm = _fit_svm(x, rows.targets, cost, settings)
    projection, embedding, tokens = None, None, None
    if embedding_wanted is not None:
        projection = _projection(x, embedding_wanted, settings.seed)
        fitted = Fitted("text embedding", projection, frozenset(rows.ids), learned_labels=False)
        embedding = unseen_scores(fitted, rows.ids, lambda matrix: np.asarray(x @ matrix))
        tokens = _token_table(projection[: len(vectorisers.model[0].vocabulary)])
    model = TextModel(vectorisers.model, svm, projection, tokens)
    fitted_model = Fitted("text model", model, frozenset(rows.ids))
    progress(STEP, steps, steps, f"C = {cost:g}")
    return TextTraining(fitted_model, folds, vectorisers, scores, embedding, cost)


def tf_idf(vectorisers: Sequence[Vectoriser], texts: Sequence[str]) -> sparse.csr_matrix:
    """Float64[N,ΣV], each block of unit length."""
    parts = [each.tfidf.transform(each.terms(texts)) for each in vectorisers]
    return sparse.hstack(parts, format="csr")


def same_terms(terms: list[str]) -> list[str]:
    """The analyzer of a TfidfVectorizer that is given terms."""
    return terms


def _vectoriser(block: TextBlock, texts: Sequence[str], settings: TrainSettings) -> Vectoriser:
    # Below this many texts a rare term is all there is.
    posts_min = settings.text_posts_min if len(texts) > 100 * settings.text_posts_min else 1
    tfidf = TfidfVectorizer(analyzer=same_terms, sublinear_tf=True, min_df=posts_min)
    words = checked(settings.text_user_words) if block.user_words else ()
    vectoriser = Vectoriser(block, tfidf, words)
    tfidf.fit(vectoriser.terms(texts))
    return vectoriser


def _fit_svm(
    x: sparse.csr_matrix, targets: Labels, cost: float, settings: TrainSettings
) -> WeightedSvm:
    weight = for_scikit_learn(settings.class_weight)
    return fit_weighted_svm(x, targets, cost, settings.seed, weight)


def _best_cost(
    x: sparse.csr_matrix, rows: TextRows, settings: TrainSettings, progress: Progress
) -> tuple[float, tuple[Fitted[Any], ...], Unseen]:
    """The C whose calibrated out-of-fold margins tell the labels best; its SVMs and margins."""
    tried = []
    weights = row_weights(rows.labels, rows.labels_count, settings.class_weight)
    for number, cost in enumerate(settings.text_costs, start=1):
        folds, scores = _out_of_fold(x, rows, cost, settings)
        calibration = calibrate(scores.scores, rows.labels, rows.labels_count, weights)
        loss = log_loss(calibration.probabilities(scores.scores), rows.labels, weights)
        tried.append((loss, cost, folds, scores))
        progress(STEP, number, len(settings.text_costs) + 1)
    _, cost, folds, scores = min(tried, key=lambda each: each[0])
    return cost, folds, scores


def _out_of_fold(
    x: sparse.csr_matrix, rows: TextRows, cost: float, settings: TrainSettings
) -> tuple[tuple[Fitted[Any], ...], Unseen]:
    """Each row's margins by an SVM that was fitted on the other folds, and those SVMs."""
    ids = np.asarray(rows.ids)
    parts: list[Unseen] = []
    folds: list[Fitted[Any]] = []
    for fold in np.unique(rows.folds):
        others, own = np.flatnonzero(rows.folds != fold), np.flatnonzero(rows.folds == fold)
        svm = _fit_svm(x[others], rows.targets[others], cost, settings)
        fitted = Fitted(f"text model of fold {fold}", svm, frozenset(ids[others].tolist()))
        margins = unseen_scores(fitted, ids[own].tolist(), partial(WeightedSvm.margins, x=x[own]))
        parts.append(margins)
        folds.append(fitted)
    return tuple(folds), joined(parts, rows.ids)


def _projection(x: sparse.csr_matrix, width: int, seed: int) -> Floats:
    """Float64[ΣV,D]: the leading directions of the texts; no label has a part in it."""
    dimensions = min(width, min(x.shape) - 1)
    svd = TruncatedSVD(dimensions, random_state=seed).fit(x)
    return np.asarray(svd.components_.T, np.float64)


def _token_table(projection: Floats) -> Floats:
    """The leading directions of single terms, all of one length; no label has a part in it."""
    leading = projection[:, :_TOKEN_SIDES]
    norms = np.linalg.norm(leading, axis=1, keepdims=True)
    return np.asarray(leading / np.maximum(norms, 1e-9) * np.sqrt(leading.shape[1]), np.float64)
