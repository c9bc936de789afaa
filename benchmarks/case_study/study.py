"""A corpus to figures in five steps, and the same with one mistake at a time.

    1 prepare    texts and pixels of complete posts, in three parts that share no post
    2 features   TF-IDF of words, fitted once; the last hidden layer of a trained CNN
    3 fuse       the two side by side
    4 classify   a linear SVM, fitted on posts that the CNN never saw
    5 evaluate   on posts that nothing saw

The libraries are used as anybody would use them; what `tuwen train` does besides is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jieba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from schemas.progress import Progress
from train.cnn import LABEL_HEAD, Heads, build, image_input
from train.corpus import Corpus, load
from train.prepared import decoded
from train.quiet_keras import load as keras_and_tensorflow
from train.rows import Row

EPOCHS: Final = 8
_SEED: Final = 7
_RATE: Final = 3e-3
_COST: Final = 0.3
# A vector of TF-IDF has length 1, one of 64 standardised numbers has 8.
_IMAGE_LENGTH: Final = 8
_IMAGE: Final = image_input("compact")
_CHUNK: Final = 256


@dataclass(frozen=True, slots=True)
class Posts:
    """Complete posts: `pixels` uint8[N,H,W,3], `labels` int64[N]."""

    texts: tuple[str, ...]
    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def part(self, start: int, stop: int) -> "Posts":
        """Some of them."""
        rows = slice(start, stop)
        return Posts(self.texts[rows], self.pixels[rows], self.labels[rows])


@dataclass(frozen=True, slots=True)
class Parts:
    """Posts for the CNN, posts for the SVM, and posts that judge both."""

    cnn: Posts
    svm: Posts
    test: Posts
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figures:
    """Accuracies, 0 to 1; the first four are right, the others what a mistake shows."""

    baseline: float
    text: float
    image: float
    fused: float
    vectoriser_by_message: float
    cnn_never_trained: float
    cnn_new_when_served: float
    judged_on_own_rows: float


@dataclass(frozen=True, slots=True)
class Classifier:
    """4: the SVM, and the scale of the CNN's numbers, on which it was fitted."""

    scale: StandardScaler
    svm: LinearSVC

    @classmethod
    def fit(cls, words: Any, seen: Any, labels: NDArray[np.int64]) -> "Classifier":
        """Learn from features of posts."""
        scale = StandardScaler().fit(seen)
        svm = LinearSVC(C=_COST, random_state=_SEED)
        return cls(scale, svm.fit(side_by_side(words, scale.transform(seen)), labels))

    def accuracy(self, words: Any, seen: Any, labels: NDArray[np.int64]) -> float:
        """5: the share of posts that get their label."""
        fused = side_by_side(words, self.scale.transform(seen))
        return float((self.svm.predict(fused) == labels).mean())


def study(corpus: Path, progress: Progress, epochs: int = EPOCHS) -> Figures:
    """All five steps, and the four mistakes. Raises CorpusError."""
    parts = prepare(load(corpus), progress)
    vectoriser = fitted_vectoriser((*parts.cnn.texts, *parts.svm.texts))
    never_trained, trained = (new_cnn(len(parts.labels)) for _ in range(2))
    train_cnn(trained, parts.cnn, epochs, progress)
    truth = parts.test.labels
    words, tested_words = map(vectoriser.transform, (parts.svm.texts, parts.test.texts))
    seen, tested_seen = (hidden(trained, posts) for posts in (parts.svm, parts.test))
    noise, tested_noise = (hidden(never_trained, posts) for posts in (parts.svm, parts.test))
    classifier = Classifier.fit(words, seen, parts.svm.labels)
    text = Classifier.fit(words, 0 * seen, parts.svm.labels)
    image = Classifier.fit(0 * words, seen, parts.svm.labels)
    noisy = Classifier.fit(words, noise, parts.svm.labels)
    one_by_one = fitted_by_message(parts.test.texts, words.shape[1])
    progress("judging", 1, 1)
    return Figures(
        baseline=float(np.bincount(truth).max() / len(truth)),
        text=text.accuracy(tested_words, 0 * tested_seen, truth),
        image=image.accuracy(0 * tested_words, tested_seen, truth),
        fused=classifier.accuracy(tested_words, tested_seen, truth),
        vectoriser_by_message=classifier.accuracy(one_by_one, tested_seen, truth),
        cnn_never_trained=noisy.accuracy(tested_words, tested_noise, truth),
        cnn_new_when_served=classifier.accuracy(tested_words, tested_noise, truth),
        judged_on_own_rows=classifier.accuracy(words, seen, parts.svm.labels),
    )


def prepare(corpus: Corpus, progress: Progress) -> Parts:
    """1: two thirds of the training half teach the CNN, one third the SVM."""
    train, test = (_posts(corpus, rows, progress) for rows in (corpus.train, corpus.test))
    cut = len(train.labels) * 2 // 3
    return Parts(train.part(0, cut), train.part(cut, len(train.labels)), test, corpus.labels)


def fitted_vectoriser(texts: Sequence[str]) -> TfidfVectorizer:
    """2: the vocabulary and the idf of all the texts to learn from; no label is looked at."""
    return _vectoriser(min_df=2).fit(texts)


def fitted_by_message(texts: Sequence[str], width: int) -> Any:
    """The mistake: a vocabulary for each text. What there is of columns is filled up to `width`."""
    rows = []
    for text in texts:
        row = sparse.csr_matrix(_vectoriser(min_df=1).fit_transform([text]))
        row.resize(1, width)
        rows.append(row)
    return sparse.vstack(rows, format="csr")


def new_cnn(labels_count: int) -> Any:
    """2: a CNN with random weights."""
    _, keras = keras_and_tensorflow()
    keras.utils.set_random_seed(_SEED)
    return build("compact", _IMAGE, Heads(labels_count, None))


def train_cnn(cnn: Any, posts: Posts, epochs: int, progress: Progress) -> None:
    """2: fit it to the labels of its posts."""
    _, keras = keras_and_tensorflow()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    cnn.compile(keras.optimizers.Adam(_RATE), {LABEL_HEAD: loss})
    told = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, _: progress("training the CNN", epoch + 1, epochs)
    )
    truth = {LABEL_HEAD: posts.labels}
    cnn.fit(posts.pixels, truth, epochs=epochs, verbose=0, callbacks=[told])


def hidden(cnn: Any, posts: Posts) -> NDArray[np.float64]:
    """2: its last layer but one, [N,64]."""
    _, keras = keras_and_tensorflow()
    embedding = keras.Model(cnn.input, cnn.get_layer("embedding").output)
    starts = range(0, len(posts.pixels), _CHUNK)
    parts = [embedding(posts.pixels[n : n + _CHUNK], training=False) for n in starts]
    return np.concatenate(parts).astype(np.float64)


def side_by_side(words: Any, seen: NDArray[np.float64]) -> Any:
    """3: [N, V + 64], of about one length each."""
    return sparse.hstack([words, sparse.csr_matrix(seen / _IMAGE_LENGTH)], format="csr")


def _posts(corpus: Corpus, rows: Sequence[Row], progress: Progress) -> Posts:
    pixels, readable = decoded(corpus, rows, _IMAGE, progress)
    kept = [number for number, row in enumerate(rows) if row.text is not None and readable[number]]
    return Posts(
        tuple(rows[number].text or "" for number in kept),
        pixels[kept],
        np.array([rows[number].label for number in kept], np.int64),
    )


def _vectoriser(min_df: int) -> TfidfVectorizer:
    return TfidfVectorizer(
        tokenizer=jieba.lcut,
        token_pattern=None,
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=min_df,
    )
