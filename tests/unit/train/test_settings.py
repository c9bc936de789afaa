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
        {"image_rate": 0.0},
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
        {
            "text_user_words": ("词",),
            "text_words_ngrams": (0, 0),
            "text_characters_ngrams": (1, 2),
        },
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


def test_user_words_are_recorded_by_their_number() -> None:
    """A dictionary has its own file in the models folder."""
    assert TrainSettings(text_user_words=("词", "语")).recorded["text_user_words"] == 2


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt name must not be half understood."""
    with pytest.raises(msgspec.ValidationError, match="epoch"):
        msgspec.convert({"epoch": 3}, TrainSettings)


def test_a_fifth_is_held_out_or_each_fold_scored() -> None:
    """Held out is the first of five folds; otherwise there are as many folds as set."""
    assert TrainSettings(folds=3).image_folds == HELD_OUT_FOLDS
    assert TrainSettings(folds=3, image_scoring="out-of-fold").image_folds == 3


def test_many_images_take_more_epochs() -> None:
    """By the number of images, unless a setting says otherwise."""
    settings = TrainSettings()
    assert settings.epochs_for(SMALL_CORPUS_IMAGES) == EPOCHS_SMALL
    assert settings.epochs_for(SMALL_CORPUS_IMAGES + 1) == EPOCHS
    assert TrainSettings(epochs=3).epochs_for(10) == 3


def test_few_images_are_held_out_and_many_scored_by_fold() -> None:
    """Unless a setting says otherwise; nothing is left open then."""
    few, many = (TrainSettings().resolved(n) for n in (SMALL_CORPUS_IMAGES, 6000))
    assert (few.image_scoring, few.epochs) == ("held-out", EPOCHS_SMALL)
    assert (many.image_scoring, many.epochs) == ("out-of-fold", EPOCHS)
    assert TrainSettings(image_scoring="held-out").resolved(6000).image_scoring == "held-out"
