from pathlib import Path

import pytest

from tuwen.command import run


@pytest.fixture(autouse=True)
def _nothing_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without tuwen.toml, and no variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("TUWEN_GROUP", "TUWEN_CONFIG", "TUWEN_TEST_DATA"):
        monkeypatch.delenv(name, raising=False)


def group_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The line of `tuwen settings` about the group."""
    assert run(["settings", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    return next(line for line in lines if line.startswith("group = "))


def test_a_flag_wins_over_a_variable_and_that_over_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And `tuwen settings` says where each value comes from."""
    assert group_line(capsys) == "group = tuwen  (default)"
    Path("tuwen.toml").write_text('group = "filed"\n')
    assert group_line(capsys) == "group = filed  (tuwen.toml: group)"
    monkeypatch.setenv("TUWEN_GROUP", "variable")
    assert group_line(capsys) == "group = variable  (TUWEN_GROUP)"
    assert group_line(capsys, "--group", "flag") == "group = flag  (--group)"


def test_a_file_that_is_named_must_be_there(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name would otherwise be no file at all."""
    assert run(["settings", "--config", "nowhere.toml"]) == 2
    assert "nowhere.toml" in capsys.readouterr().err


def test_an_unknown_variable_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was meant to do something."""
    monkeypatch.setenv("TUWEN_GRUOP", "x")
    assert run(["settings"]) == 2
    assert "TUWEN_GRUOP" in capsys.readouterr().err
