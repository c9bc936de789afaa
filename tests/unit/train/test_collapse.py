"""Real runs of a CNN that cannot go well: collapsed ones, and ones that have nothing to learn."""

import numpy as np
import pytest

from schemas.progress import silent
from train.cnn import Heads
from train.errors import CollapsedError
from train.image_model import fit_image
from train.image_rows import ImageRows
from train.settings import TrainSettings

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def _noise(labels_count: int) -> ImageRows:
    """Pictures that say nothing of their labels."""
    chance = np.random.default_rng(2)
    labels = np.arange(80) % labels_count
    pixels = chance.integers(0, 256, (80, 64, 64, 3), dtype=np.uint8)
    ids = tuple(str(number) for number in range(80))
    none, folds = np.full(80, -1), np.arange(80) // 2 % 5
    return ImageRows(ids, pixels, labels, none, Heads(labels_count, None), folds)


def test_a_cnn_that_is_taught_much_too_fast_collapses() -> None:
    """Its loss is soon no number, or it gives one answer; the error says what to lower."""
    settings = TrainSettings(cnn="brief", epochs=2, batch_images=8, image_rate=1e4)
    with pytest.raises(CollapsedError, match="--image-rate, which is 10000"):
        fit_image(_noise(3), settings, silent)


def test_images_that_say_nothing_make_no_collapse() -> None:
    """The CNN answers them differently, and wrongly: that is told, and training goes on."""
    fitted = fit_image(_noise(3), TrainSettings(cnn="brief", epochs=2, batch_images=8), silent)
    assert not fitted.learned
    assert fitted.collapsed_runs == 0
