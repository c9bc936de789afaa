"""CNNs fitted in processes of their own: the same models, in order, and no silence on a death."""

import os
from queue import SimpleQueue
from typing import Any, NoReturn

import numpy as np
import pytest

from schemas.progress import Progress, silent
from train.cnn import Heads, image_input
from train.errors import CollapsedError, TrainError
from train.image_model import fit_cnn
from train.image_rows import ImageRows
from train.settings import TrainSettings
from train.side_by_side import STEP, Lesson, Teller, fit_side_by_side

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SETTINGS = TrainSettings(batch_images=8)


def _rows() -> ImageRows:
    numbers = np.arange(24)
    image = image_input(SETTINGS.cnn)
    shape = (len(numbers), image.height, image.width, image.channels)
    pixels = np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)
    ids = tuple(str(number) for number in numbers)
    return ImageRows(ids, pixels, numbers % 2, numbers % 3, Heads(2, 3), numbers % 4)


def _dies(
    rows: ImageRows, settings: TrainSettings, progress: Progress, name: str, epochs: int
) -> NoReturn:
    """As a process does that the system has killed for want of memory."""
    os._exit(9)


def _collapses(
    rows: ImageRows, settings: TrainSettings, progress: Progress, name: str, epochs: int
) -> NoReturn:
    raise CollapsedError(f"all runs of the {name} collapsed")


def test_equal_lessons_give_equal_cnns_and_others_do_not() -> None:
    """Each process has one thread, so nothing depends on what else runs; the order is kept."""
    told: list[tuple[str, int, int]] = []
    half, other = np.arange(0, 24, 2), np.arange(1, 24, 2)
    fits = fit_side_by_side(
        fit_cnn,
        _rows(),
        [Lesson("one", half), Lesson("two", other), Lesson("three", half)],
        SETTINGS,
        lambda step, done, total, note="": told.append((step, done, total)),
        1,
    )
    one, two, three = (cnn.fitted.model.get_weights() for cnn in fits)
    assert [cnn.fitted.name for cnn in fits] == ["one", "two", "three"]
    assert fits[0].fitted.rows == {str(row) for row in half}
    assert all(np.array_equal(a, b) for a, b in zip(one, three, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert [set(figures) for figures in fits[0].learning_curve] == [{"epoch", "loss", "accuracy"}]
    assert told[-1] == (STEP, 3, 3)


def test_a_cnn_that_collapses_in_its_process_is_told() -> None:
    """With the words of the process, not as one that died."""
    with pytest.raises(CollapsedError, match=r"^all runs of the first collapsed$"):
        fit_side_by_side(_collapses, _rows(), [Lesson("first", np.arange(24))], SETTINGS, silent, 1)


def test_a_process_that_dies_is_an_error() -> None:
    """The error names the CNN, and says what may be wrong."""
    with pytest.raises(TrainError, match=r"trained the first ended with exit code 9.*memory"):
        fit_side_by_side(_dies, _rows(), [Lesson("first", np.arange(24))], SETTINGS, silent, 1)


def test_a_process_without_a_parent_ends() -> None:
    """Training that was killed leaves no process that goes on for minutes."""
    heard: Any = SimpleQueue()
    Teller("CNN", os.getppid(), heard)("training", 1, 2, "accuracy .5")
    assert heard.get() == ("CNN", 1, 2, "accuracy .5")
    with pytest.raises(SystemExit, match="nobody waits for the CNN"):
        Teller("CNN", -1, heard)("training", 2, 2)
