"""Impossible settings are refused by name."""

from typing import Any

import msgspec
import pytest

from train.errors import SettingError
from train.settings import EPOCHS, EPOCHS_SMALL, HELD_OUT_FOLDS, SMALL_CORPUS_IMAGES, TrainSettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"strategies": ()},
        {"strategies": ("soft-voting", "soft-voting")},
        {"epochs": 0},
        {"folds": 1},
        {"text_folds": 1},
        {"seed": -1},
        {"seed": 2**31},
        {"batch_images": 1},
        {"text_posts_min": 0},
        {"text_costs": ()},
        {"text_costs": (1.0, 0.0)},
        {"embedding_width": 0},
        {"reference_rows_max": 0},
        {"text_words_ngrams": (2, 1)},
        {"text_words_ngrams": (0, 0)},
        {"text_characters_ngrams": (1, 6)},
    ],
)
def test_an_impossible_setting_is_named(wrong: dict[str, Any]) -> None:
    """The error says which one it is."""
    with pytest.raises(SettingError, match=next(iter(wrong))):
        TrainSettings(**wrong)


def test_settings_survive_as_json() -> None:
    """As models.json records them."""
    settings = TrainSettings(strategies=("concatenation",), epochs=3)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=TrainSettings) == settings


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt name must not be half understood."""
    with pytest.raises(msgspec.ValidationError, match="epoch"):
        msgspec.convert({"epoch": 3}, TrainSettings)


def test_small_corpora_hold_out_and_large_ones_fold() -> None:
    """By the number of images, unless a setting says otherwise."""
    settings, large = TrainSettings(), SMALL_CORPUS_IMAGES + 1
    assert settings.scoring_for(SMALL_CORPUS_IMAGES) == "held-out"
    assert settings.scoring_for(large) == "out-of-fold"
    assert settings.image_folds_for(10) == HELD_OUT_FOLDS
    assert settings.image_folds_for(large) == settings.folds
    assert (settings.epochs_for(10), settings.epochs_for(large)) == (EPOCHS_SMALL, EPOCHS)
    chosen = TrainSettings(image_scoring="out-of-fold", epochs=3, folds=4)
    assert (chosen.scoring_for(10), chosen.image_folds_for(10)) == ("out-of-fold", 4)
    assert chosen.epochs_for(10) == 3
