import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import kafka_rules, mutate
from tests.forked_pytest import FAILED, ForkedPytest, forked_pytests
from tests.mutate import LIST, ROOT, Guard, read
from tuwen.process_identity import identify


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of one guard and two tests, one of which asks for it."""
    (tmp_path / "half.py").write_text(
        "def half(n):\n    if n < 0:\n        raise ValueError\n    return n / 2\n"
    )
    (tmp_path / "test_half.py").write_text(
        "import pytest\nfrom half import half\n"
        "def test_half(): assert half(4) == 2\n"
        "def test_negative():\n    with pytest.raises(ValueError): half(-1)\n"
    )
    return tmp_path


@pytest.fixture
def pytest_of_tree(tree: Path) -> Iterator[ForkedPytest]:
    """Runs the project's tests, and is ended."""
    with forked_pytests([tree], ["pytest"]) as pytests:
        yield pytests[0]


def guard(*, text: str = "if n < 0", by: str = "if False", test: str = "test_negative") -> Guard:
    """The guard of `half`, or something like it."""
    return Guard("Halves of debts are refused.", "half.py", text, by, f"test_half.py::{test}")


def test_a_guard_that_is_missed_is_found(tree: Path, pytest_of_tree: ForkedPytest) -> None:
    """The test fails without it, and the file is as before."""
    content = (tree / "half.py").read_text()
    assert mutate.before(pytest_of_tree, [guard()]) is None
    assert mutate.without(pytest_of_tree, guard()) is None
    assert (tree / "half.py").read_text() == content


def test_a_test_that_passes_without_its_guard_is_a_fault(pytest_of_tree: ForkedPytest) -> None:
    """Such a test proves nothing of it."""
    assert "passes without" in str(mutate.without(pytest_of_tree, guard(test="test_half")))


def test_a_text_that_is_not_there_is_a_fault(pytest_of_tree: ForkedPytest) -> None:
    """Code has moved on: the list must follow."""
    assert "0 times" in str(mutate.without(pytest_of_tree, guard(text="if n < 1")))


def test_a_text_that_is_there_more_than_once_is_a_fault(pytest_of_tree: ForkedPytest) -> None:
    """It must be clear which one is meant."""
    assert "2 times" in str(mutate.without(pytest_of_tree, guard(text=" n")))


def test_a_program_that_does_not_load_proves_nothing(pytest_of_tree: ForkedPytest) -> None:
    """A removal that breaks the file is a mistake in the list."""
    assert "did not run" in str(mutate.without(pytest_of_tree, guard(by="if (")))


def test_a_test_that_fails_before_proves_nothing(tree: Path, pytest_of_tree: ForkedPytest) -> None:
    """It would fail with the guard as well."""
    (tree / "half.py").write_text("def half(n): return n / 2\n")
    assert "not all tests pass before" in str(mutate.before(pytest_of_tree, [guard()]))


def test_a_test_without_end_has_failed(tree: Path, pytest_of_tree: ForkedPytest) -> None:
    """It is ended with all that it started, and the next one runs."""
    (tree / "test_long.py").write_text(
        "import subprocess, pathlib\n"
        "def test_long():\n"
        "    child = subprocess.Popen(['sleep', '60'])\n"
        "    pathlib.Path('pid').write_text(str(child.pid))\n"
        "    child.wait()\n"
    )
    code, said = pytest_of_tree.run(["test_long.py"], 1.5)
    assert (code, said.splitlines()[-1]) == (FAILED, "no end within 2 s")
    child = int((tree / "pid").read_text())
    deadline_s = time.monotonic() + 10
    while identify(child) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert identify(child) is None
    assert pytest_of_tree.run(["test_half.py"], 30.0)[0] == 0


def test_the_list_names_files_and_tests_that_exist() -> None:
    """A quick look at what `make mutate` takes minutes for."""
    for listed in read(LIST):
        path, _, name = listed.test.partition("::")
        assert (ROOT / listed.file).read_text(encoding="utf-8").count(listed.text) == 1, listed
        function = name.rpartition("::")[2].partition("[")[0]
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), listed


def test_every_guard_names_rules_that_there_are() -> None:
    """A rule that was renamed is renamed with its guards."""
    assert {rule for listed in read(LIST) for rule in listed.rules} <= set(kafka_rules.rules())


def test_every_rule_of_the_client_has_a_guard() -> None:
    """What nothing would miss is no rule."""
    kept = {rule for listed in read(LIST) for rule in listed.rules}
    assert [rule for rule in kafka_rules.rules() if rule not in kept] == []


def test_the_document_has_the_rules_as_the_lists_have_them() -> None:
    """`python -m tests.kafka_rules` writes them anew."""
    written = kafka_rules.section(kafka_rules.rules(), read(LIST))
    assert written in kafka_rules.DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("after", ["", "\n## By hand\n\nText.\n"])
def test_the_rules_are_written_where_they_stood(after: str) -> None:
    """Rows of faults before them and sections after them stay."""
    first = kafka_rules.section({"K1": "One."}, [replace(guard(), rules=("K1",))])
    text = kafka_rules.placed("# What faults cost\n\n| row |\n", first) + after
    second = kafka_rules.section({"K2": "Two."}, [replace(guard(), rules=("K2",))])
    assert kafka_rules.placed(text, second) == f"# What faults cost\n\n| row |\n{second}{after}"


def test_the_sentence_of_a_rule_stands_beside_its_first_guard() -> None:
    """The others have its name."""
    guards = [replace(guard(), rules=("K1",)), guard(), replace(guard(by="x"), rules=("K0", "K1"))]
    rows = kafka_rules.section({"K1": "One."}, guards).splitlines()[-2:]
    rest = "Halves of debts are refused. `half.py` | `test_half.py::test_negative` |"
    assert rows == [f"| **K1** One. | {rest}", f"| **K1** | {rest}"]
