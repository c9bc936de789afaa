"""The rows of a corpus to whether there is enough of them to train and test on, before anything is
fitted: each modality that can be read, and each label in every fold.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.images import ImageProblem, decode
from train.corpus import Corpus
from train.corpus_report import ROWS_OF_A_FOLD_MIN
from train.errors import CorpusError
from train.prepared import LIMITS, Prepared
from train.rows import HALVES, Half, Row
from train.settings import HELD_OUT_FOLDS, TrainSettings

_PARTS: Final = 3
"""Folds go by threes where strategies are compared, and where a deep head is fitted."""


def check_declared(corpus: Corpus, settings: TrainSettings) -> None:
    """What can be said before a single image is decoded.

    Raises CorpusError when a half has no row with both modalities, or a label has too few.
    """
    for half in HALVES:
        rows = corpus.half(half)
        for modality, named in _named(rows).items():
            if not named:
                raise CorpusError(
                    f"{half}.jsonl has no row with {modality}: a corpus needs both, a text and an "
                    f"image for most posts; look at the fields `text` and `image`"
                )
    complete = [row.complete for row in corpus.train]
    _check_labels(corpus, [row.label for row in corpus.train], complete, settings)


def check_prepared(
    corpus: Corpus,
    train: Prepared,
    test: Prepared,
    settings: TrainSettings,
    *,
    apart: bool,
    compared: bool,
) -> None:
    """What is left when images are decoded and shared rows left out.

    `apart` says that a strategy learns from the first fold of the images alone, `compared` that
    strategies are compared. Raises CorpusError when there is too little of anything.
    """
    for half, prepared in zip(HALVES, (train, test), strict=True):
        _check_readable(corpus, half, prepared)
    complete = np.asarray(train.present.all(axis=1), np.bool_)
    _check_labels(corpus, train.labels.tolist(), complete.tolist(), settings)
    if not test.present.all(axis=1).any():
        raise CorpusError(
            "test.jsonl has no row with a text and an image that can be decoded: strategies are "
            "judged on such rows; add some, or divide anew with `tuwen corpus split`"
        )
    held_out = settings.image_scoring == "held-out"
    learned = complete & ((train.image_folds == 0) | (not held_out and not apart))
    _check_folds(
        corpus,
        train,
        np.asarray(learned, np.bool_),
        _PARTS if compared else _PARTS - 1,
        held_out=held_out,
    )


def _named(rows: Sequence[Row]) -> dict[str, bool]:
    return {
        "a text": any(row.text is not None for row in rows),
        "an image": any(row.image is not None for row in rows),
    }


def _check_readable(corpus: Corpus, half: Half, prepared: Prepared) -> None:
    """Refuse a half of whose images not one can be decoded, with what is wrong with the first."""
    named = [row for row in prepared.rows if row.image is not None]
    if prepared.present[:, 1].any():
        return
    if not named:
        raise CorpusError(
            f"no row with an image is left in {half}.jsonl: the others share theirs, or their "
            f"text, with the other half, or cannot be decoded; "
            f"see `tuwen corpus check {corpus.folder}`"
        )
    content = corpus.image_path(named[0]).read_bytes()
    problem = decode(content, prepared.image, LIMITS)
    why = problem.detail if isinstance(problem, ImageProblem) else "it was changed meanwhile"
    raise CorpusError(
        f"none of the {len(named)} images of {half}.jsonl can be decoded, {named[0].image!r} of "
        f"{named[0].id!r} among them ({why}): see `tuwen corpus check {corpus.folder}`"
    )


def _check_labels(
    corpus: Corpus, labels: Sequence[int], complete: Sequence[bool], settings: TrainSettings
) -> None:
    """Each label needs rows of both modalities in every fold."""
    folds = max(settings.folds, settings.text_folds, HELD_OUT_FOLDS)
    needed = ROWS_OF_A_FOLD_MIN * folds
    having = [label for label, whole in zip(labels, complete, strict=True) if whole]
    counts = np.bincount(np.asarray(having, np.int64), minlength=len(corpus.labels))
    few = [f"{name!r} {n}" for name, n in zip(corpus.labels, counts, strict=True) if n < needed]
    if few:
        fewer = f", or lower folds, which are {folds}" if folds > HELD_OUT_FOLDS else ""
        raise CorpusError(
            f"labels with too few usable training rows that have both text and image: "
            f"{', '.join(few)}; {needed} of each are the least, {ROWS_OF_A_FOLD_MIN} for each of "
            f"{folds} folds: add rows, join such a label with another{fewer}"
        )


def _check_folds(
    corpus: Corpus, train: Prepared, learned: NDArray[np.bool_], parts: int, *, held_out: bool
) -> None:
    """Whatever fold is left out, fusion must find each label among the others."""
    for label, name in enumerate(corpus.labels):
        own = learned & (train.labels == label)
        if len(np.unique(train.text_folds[own] % _PARTS)) < parts:
            every = ", or let fusion learn from every image: --image-scoring out-of-fold"
            raise CorpusError(
                f"label {name!r} has {int(own.sum())} rows that fusion can learn from, too few "
                f"or too much alike to be in every fold: add rows with other texts and images"
                f"{every if held_out else ''}"
            )
