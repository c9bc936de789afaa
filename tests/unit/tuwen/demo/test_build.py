from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tuwen.demo import build
from tuwen.demo.messages import Broken, Finished, Message, Step

ARGUMENTS = ["folder", "7", "100", "20"]


def told(capsys: pytest.CaptureFixture[str]) -> list[Message]:
    """What the demo would read."""
    decoder = msgspec.json.Decoder(Message)
    return [decoder.decode(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that do nothing."""

    def corpus(folder: Path, seed: int, train_posts: int, test_posts: int) -> Sequence[str]:
        build.progress("drawing", 1, 1)
        return [f"{folder} {seed} {train_posts} {test_posts}"]

    monkeypatch.setattr(build, "_corpus", corpus)
    monkeypatch.setattr(build, "_train", lambda _folder: ["trained"])
    monkeypatch.setattr(build, "_export", lambda _folder: [])


@pytest.mark.usefixtures("stages")
def test_each_step_and_each_stage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A line each, in the order in which they happen."""
    assert build.main(ARGUMENTS) == 0

    step, *finished = told(capsys)
    assert step == Step("drawing", 1, 1)
    assert [(one.stage, one.words) for one in finished if isinstance(one, Finished)] == [
        ("corpus", ("folder 7 100 20",)),
        ("training", ("trained",)),
        ("export", ()),
    ]


@pytest.mark.usefixtures("stages")
def test_a_stage_that_fails_is_told_in_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demo has no traceback to show."""

    def full(_folder: Path) -> Sequence[str]:
        raise OSError(28, "No space left on device", "models/x")

    monkeypatch.setattr(build, "_train", full)

    assert build.main(ARGUMENTS) == 1
    assert told(capsys)[-1] == Broken(
        "the disk is full, writing models/x: free some space and try again"
    )
