"""The text model, its folds, and its terms against jieba and scikit-learn themselves."""

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from features.text import TextVectoriser, terms_of
from schemas.manifest import FileSpec, TextBlock
from train.adversarial import texts as odd_texts
from train.groups import fold_numbers
from train.reference_terms import jieba_with, reference_terms, reference_tokens
from train.settings import TrainSettings
from train.text_model import TextRows, TextTraining, blocks_of, fit_text, tf_idf
from tuwen.demo_corpus.moods import MOODS, label_of
from tuwen.demo_corpus.texts import compose

ROWS = 300
BOTH_BLOCKS = TrainSettings(text_characters_ngrams=(1, 2), text_folds=3, text_costs=(0.1, 0.3))


def _rows(folds: int = 3) -> TextRows:
    chance = Random(4)
    labels = np.array([row % 3 for row in range(ROWS)], np.int64)
    texts = tuple(compose(MOODS[label], chance) for label in labels)
    ids = tuple(f"row {row}" for row in range(ROWS))
    numbers = fold_numbers([[text] for text in texts], labels.tolist(), folds, 1)
    return TextRows(ids, texts, labels, labels, 3, numbers)


@pytest.fixture(scope="module")
def fitted() -> TextTraining:
    """Words and characters, with an embedding."""
    return fit_text(_rows(), BOTH_BLOCKS, 16)


def test_margins_of_unseen_rows_tell_the_labels(fitted: TextTraining) -> None:
    """Out of fold: well above chance, one column a class, no row left out."""
    right = fitted.scores.scores.argmax(axis=1) == _rows().labels
    assert fitted.scores.scores.shape == (ROWS, 3)
    assert 0.7 < right.mean() <= 1.0


def test_no_fold_saw_the_rows_that_it_scores(fitted: TextTraining) -> None:
    """Each fold's SVM records the rows of the others, and only those."""
    rows = _rows()
    for number, fold in enumerate(fitted.folds):
        own = {rows.ids[row] for row in np.flatnonzero(rows.folds == number)}
        assert fold.rows == set(rows.ids) - own
    assert fitted.model.rows == set(rows.ids)


def test_saved_weights_give_scikit_learns_scores(fitted: TextTraining, tmp_path: Path) -> None:
    """The formula of `schemas.models`, over ids and counts of `features`, is the model."""
    model = fitted.model.model
    model.save(tmp_path)
    arrays = np.load(tmp_path / "model.npz")
    texts = ["味道鲜美，下次还来", "客服踢皮球 abc-1.5", "完全没见过的词 zzz"]
    parts = []
    for each in model.vectorisers:
        name = each.block.name
        vocabulary = msgspec.json.decode((tmp_path / f"{name}.vocabulary.json").read_bytes())
        ids, counts = TextVectoriser(each.block, vocabulary).ids_and_counts(texts)
        dense = np.zeros((len(texts), len(vocabulary) + 1))
        np.put_along_axis(dense, ids, 1 + np.log(counts), axis=1)
        x = dense[:, :-1] * arrays[f"{name}.idf"]
        parts.append(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-30))
    x = np.concatenate(parts, axis=1)
    outputs = model.outputs(tf_idf(model.vectorisers, texts))
    margins = x @ arrays["coefficients"].T + arrays["intercepts"]
    assert margins == pytest.approx(outputs["text.scores"], abs=1e-12)
    assert x @ arrays["embedding"] == pytest.approx(outputs["text.embedding"], abs=1e-12)


def test_equal_seeds_give_equal_models(fitted: TextTraining, tmp_path: Path) -> None:
    """Byte for byte."""
    for folder, training in (("one", fitted), ("two", fit_text(_rows(), BOTH_BLOCKS, 16))):
        (tmp_path / folder).mkdir()
        training.model.model.save(tmp_path / folder)
    first, second = (tmp_path / folder / "model.npz" for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()


def test_a_rare_label_is_found_more_often_when_labels_count_alike() -> None:
    """By the SVM itself: out of fold its margin is the highest for more of the label's rows."""
    rows = _rows()
    kept = np.flatnonzero((rows.labels != 2) | (np.arange(ROWS) % 15 == 2))
    few = TextRows(
        tuple(rows.ids[row] for row in kept),
        tuple(rows.texts[row] for row in kept),
        rows.labels[kept],
        rows.labels[kept],
        3,
        rows.folds[kept],
    )
    found = {
        weight: fit_text(few, replace(BOTH_BLOCKS, class_weight=weight), None).scores.scores
        for weight in ("none", "balanced")
    }
    rare = few.labels == 2
    recall = {weight: (scores[rare].argmax(axis=1) == 2).mean() for weight, scores in found.items()}
    assert recall["balanced"] > recall["none"]


def test_one_margin_for_two_labels() -> None:
    """Two classes are told apart by one margin."""
    rows = _rows()
    two = (rows.labels > 0).astype(np.int64)
    training = fit_text(TextRows(rows.ids, rows.texts, two, two, 2, rows.folds), BOTH_BLOCKS, None)
    assert training.scores.scores.shape == (ROWS, 1)
    assert training.embedding is None


@pytest.mark.parametrize(
    "block",
    [
        *blocks_of(TrainSettings(text_characters_ngrams=(1, 3))),
        TextBlock("edges", FileSpec("-", "", 0), analyzer="char_wb", ngrams=(2, 3)),
        TextBlock(
            "pattern", FileSpec("-", "", 0), analyzer="pattern", token_pattern=r"(?u)\b\w+\b"
        ),
        TextBlock("stop", FileSpec("-", "", 0), stop_words=("好", "，"), ngrams=(1, 2)),
    ],
    ids=lambda block: block.name,
)
def test_terms_are_those_of_jieba_and_scikit_learn(block: TextBlock) -> None:
    """What serves and the reference written apart from it agree on the odd texts."""
    texts = [text for text in odd_texts().values() if len(text) < 1000]
    chance = Random(8)
    texts += [compose(mood, chance) for mood in MOODS for _ in range(30)]
    assert terms_of(block, texts) == [reference_terms(block, text) for text in texts]


def test_tokens_hold_white_space_and_terms_do_not() -> None:
    """Tokens are what jieba cuts; terms leave white space out."""
    block = blocks_of(TrainSettings())[0]
    assert reference_tokens(block, "好 吃") == ["好", " ", "吃"]
    assert reference_terms(block, "好 吃") == ["好", "吃", "好 吃"]


def _of_two_words(user_words: tuple[str, ...]) -> tuple[TextRows, TrainSettings]:
    """Texts of the same two words; their order alone, within what a user may call a word, tells."""
    labels = np.arange(ROWS) % 2
    texts = tuple(f"{row}次{'苹果西瓜' if row % 2 else '西瓜苹果'}" for row in range(ROWS))
    ids = tuple(f"row {row}" for row in range(ROWS))
    rows = TextRows(ids, texts, labels, labels, 2, np.arange(ROWS) // 2 % 3)
    return rows, replace(BOTH_BLOCKS, **ONE_WORD, text_user_words=user_words)


ONE_WORD: dict[str, tuple[int, int]] = {
    "text_words_ngrams": (1, 1),
    "text_characters_ngrams": (0, 0),
}


def test_a_user_word_can_be_all_that_tells_the_labels(tmp_path: Path) -> None:
    """It is a term, it is saved for serving, and jieba's own terms are the same."""
    right = {}
    for words in ((), ("苹果西瓜", "西瓜苹果 9")):
        rows, settings = _of_two_words(words)
        training = fit_text(rows, settings, 4 if words else None)
        right[words] = ((training.scores.scores[:, 0] > 0) == rows.labels).mean()
    assert right[()] < 0.7
    assert right["苹果西瓜", "西瓜苹果 9"] == 1
    model = training.model.model
    [only] = model.vectorisers
    model.save(tmp_path)
    saved = msgspec.json.decode((tmp_path / "user_words.json").read_bytes(), type=list[str])
    assert only.block.user_words is not None
    assert only.block.user_words.path == "text/user_words.json"
    assert (
        TextVectoriser(only.block, only.vocabulary, saved).terms("一次苹果西瓜")[-1] == "苹果西瓜"
    )
    jieba = jieba_with(only.user_words)
    texts = list(rows.texts)
    assert only.terms(texts) == [reference_terms(only.block, text, jieba) for text in texts]
    columns = {term: column for column, term in enumerate(only.vocabulary)}
    assert columns["苹果西瓜"] in model.token_ids(["一次苹果西瓜"])[0]


def test_without_user_words_none_are_saved(fitted: TextTraining, tmp_path: Path) -> None:
    """No block names a file that is not there."""
    fitted.model.model.save(tmp_path)
    assert not (tmp_path / "user_words.json").exists()
    assert all(each.block.user_words is None for each in fitted.model.model.vectorisers)


def test_the_label_of_filler_is_a_class_of_its_own() -> None:
    """What a text itself shows may be a class that no label has."""
    assert label_of(MOODS[0]) == 0
    rows = _rows()
    targets = np.where(np.arange(ROWS) % 10 == 0, 3, rows.labels)
    training = fit_text(
        TextRows(rows.ids, rows.texts, targets, rows.labels, 3, rows.folds), BOTH_BLOCKS, None
    )
    assert training.scores.scores.shape == (ROWS, 4)


def test_a_fit_tells_how_far_it_is() -> None:
    """Each C tried is a step, and the last is all else."""
    told: list[tuple[int, int, str]] = []
    fit_text(
        _rows(),
        BOTH_BLOCKS,
        None,
        lambda step, done, total, note="": told.append((done, total, note)),
    )
    assert [(done, total) for done, total, _ in told] == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert told[-1][2].startswith("C = ")
