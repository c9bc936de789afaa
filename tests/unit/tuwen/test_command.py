import importlib
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from typer.core import TyperGroup

from tuwen.command import COMMANDS, load, run

HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "jieba", "onnx", "tf2onnx", "skl2onnx")


def every_command() -> Iterator[list[str]]:
    """Each command, group and command of a group, as it is typed."""
    for name in COMMANDS:
        command = load(name)
        yield [name]
        if isinstance(command, TyperGroup):
            yield from ([name, inner] for inner in command.commands)


@pytest.mark.parametrize("typed", list(every_command()), ids=" ".join)
def test_every_help_has_an_example_that_begins_with_its_command(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody learns a command from a list of its flags."""
    assert run([*typed, "--help"]) == 0

    shown = capsys.readouterr().out
    example = shown.rpartition("Example:  ")[2]
    assert f"tuwen {' '.join(typed)}" in " ".join(example.split())


def test_the_table_lists_every_module_of_commands() -> None:
    """A module that is not in the table could never be reached."""
    for name in COMMANDS:
        module = importlib.import_module(f"tuwen.commands.{name.replace('-', '_')}")
        assert isinstance(module.app, typer.Typer)


def test_the_list_of_commands_fits_into_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """No line of help is cut short by dots."""
    assert run(["--help"]) == 0

    shown = capsys.readouterr().out.partition("Commands:")[2]
    assert "..." not in shown
    for name, line in COMMANDS.items():
        assert f"{name} " in shown
        assert line in shown


def imported_by(arguments: list[str]) -> set[str]:
    """The packages that a command imports."""
    program = (
        "import sys; from tuwen.command import run; "
        f"code = run({arguments!r}); print(code, *sys.modules, file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True
    )
    code, *modules = ran.stderr.split()
    assert code == "0", ran.stderr[:500]
    return {module.partition(".")[0] for module in modules}


def test_help_imports_next_to_nothing() -> None:
    """So that it is there at once."""
    assert not imported_by(["--help"]) & {*HEAVY, "kafka", "numpy", "pydantic", "rich", "msgspec"}


@pytest.mark.parametrize(
    "name", ["worker", "send", "watch", "classify", "evaluate", "demo", "settings"]
)
def test_what_serves_imports_nothing_that_trains(name: str) -> None:
    """These must run where the extra `train` is not installed."""
    assert not imported_by([name, "--help"]) & set(HEAVY)


def test_an_unknown_command_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, with exit code 2."""
    assert run(["wrker"]) == 2

    refused = capsys.readouterr().err
    assert refused == "tuwen: No such command 'wrker'. Did you mean 'worker'? See `tuwen --help`.\n"


def test_an_unknown_flag_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the command whose help would tell more."""
    assert run(["kafka", "status", "--prot", "1"]) == 2
    assert "See `tuwen kafka status --help`." in capsys.readouterr().err


def test_a_group_alone_shows_what_it_can(capsys: pytest.CaptureFixture[str]) -> None:
    """And is refused: nothing was said to be done."""
    assert run(["topics"]) == 2
    assert "create" in capsys.readouterr().err


def test_a_missing_bundle_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: object) -> None:
    """What happened, to which thing, what to do; and no traceback."""
    assert run(["bundle", "check", f"{tmp_path}/nowhere"]) == 1

    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{tmp_path}/nowhere" in said
    assert "tuwen export" in said


def test_an_impossible_setting_is_refused_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is begun."""
    assert run(["worker", "--session-timeout-ms", "7"]) == 2
    assert "--session-timeout-ms" in capsys.readouterr().err


def test_ctrl_c_is_a_word_and_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun was not done."""

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tuwen.commands.bundle.load", interrupted)

    assert run(["bundle", "check", "somewhere"]) == 1
    assert capsys.readouterr().err == "tuwen: stopped\n"
