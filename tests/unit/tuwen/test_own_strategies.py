import shutil
from pathlib import Path

import pytest

from export.errors import ExportError
from export.fusion.seam import TOLERANCE_MAX, strategy
from tests.outside.train.log_pool import STRATEGY, LogPool
from train.errors import SettingError
from train.fusion.registry import ALL, names, strategies
from tuwen.failures import Failed
from tuwen.own_strategies import of_export, of_training

OUTSIDE = Path(__file__).parents[2] / "outside"


def test_a_file_gives_its_strategy_under_its_own_name(tmp_path: Path) -> None:
    """One file in each room, from wherever they lie."""
    for room in ("train", "export"):
        shutil.copytree(OUTSIDE / room, tmp_path / room)
    [trained] = of_training([tmp_path / "train" / "log_pool.py"])
    exported = of_export([tmp_path / "export" / "log_pool.py"])

    assert trained.name == "log-pool"
    assert trained.needs(("text", "sound")) == ("text.scores", "sound.scores")
    assert list(exported) == ["log-pool"]
    assert strategy("log-pool", exported).inputs({}, ("text",)) == ["text.scores"]


def test_one_more_is_compared_with_all() -> None:
    """And it may be asked for alone, or another without it."""
    assert [each.name for each in strategies([ALL], [STRATEGY])] == [*names(), "log-pool"]
    assert strategies(["log-pool"], [STRATEGY]) == (STRATEGY,)
    assert [each.name for each in strategies(["voting"], [STRATEGY])] == ["voting"]


def test_a_name_that_is_taken_is_refused() -> None:
    """A models folder has one folder for each name."""
    with pytest.raises(SettingError, match="two strategies have one name: give voting names"):
        strategies([ALL], [LogPool("voting")])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mine.py", "x = 1", "mine.py has no STRATEGY: a strategy's file of this room"),
        ("mine.py", "import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at"),
        ("mine.py", "def (", "mine.py cannot be loaded .SyntaxError"),
        ("mine.txt", "", "mine.txt is no Python file"),
        (
            "mine.py",
            "from tests.outside.train.log_pool import STRATEGY",
            "is named 'log-pool', and the file must be named as the strategy is: name it 'mine'",
        ),
    ],
)
def test_a_file_that_is_no_strategy_says_why(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    """It is somebody's own code, and no fault of tuwen's."""
    (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(Failed, match=words):
        of_training([tmp_path / name])


def test_a_file_of_the_other_room_is_told_from_one_of_export() -> None:
    """Both are named alike."""
    with pytest.raises(Failed, match="has no TOLERANCE, inputs, fuse"):
        of_export([OUTSIDE / "train" / "log_pool.py"])


def test_a_file_that_is_not_there_is_a_matter_of_the_system(tmp_path: Path) -> None:
    """As everywhere, the path is named."""
    with pytest.raises(FileNotFoundError):
        of_training([tmp_path / "nowhere.py"])


@pytest.mark.parametrize("tolerance", [2 * TOLERANCE_MAX, float("nan"), 0.0])
def test_a_strategy_cannot_choose_what_the_gate_lets_pass(tmp_path: Path, tolerance: float) -> None:
    """A tolerance of its own is bounded."""
    file = tmp_path / "mine.py"
    file.write_text(f"TOLERANCE, inputs, fuse = float('{tolerance}'), None, None", encoding="utf-8")

    with pytest.raises(ExportError, match=f"the gate takes {TOLERANCE_MAX} at most"):
        strategy("mine", of_export([file]))
