from pathlib import Path

import pytest

from tests import mutate
from tests.mutate import LIST, ROOT, Guard, read


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


def guard(*, text: str = "if n < 0", by: str = "if False", test: str = "test_negative") -> Guard:
    """The guard of `half`, or something like it."""
    return Guard("Halves of debts are refused.", "half.py", text, by, f"test_half.py::{test}")


def test_a_guard_that_is_missed_is_found(tree: Path) -> None:
    """The test fails without it, and the file is as before."""
    content = (tree / "half.py").read_text()
    assert mutate.before(tree, [guard()]) is None
    assert mutate.without(tree, guard()) is None
    assert (tree / "half.py").read_text() == content


def test_a_test_that_passes_without_its_guard_is_a_fault(tree: Path) -> None:
    """Such a test proves nothing of it."""
    assert "passes without" in str(mutate.without(tree, guard(test="test_half")))


def test_a_text_that_is_not_there_is_a_fault(tree: Path) -> None:
    """Code has moved on: the list must follow."""
    assert "0 times" in str(mutate.without(tree, guard(text="if n < 1")))


def test_a_text_that_is_there_more_than_once_is_a_fault(tree: Path) -> None:
    """It must be clear which one is meant."""
    assert "2 times" in str(mutate.without(tree, guard(text=" n")))


def test_a_program_that_does_not_load_proves_nothing(tree: Path) -> None:
    """A removal that breaks the file is a mistake in the list."""
    assert "did not run" in str(mutate.without(tree, guard(by="if (")))


def test_a_test_that_fails_before_proves_nothing(tree: Path) -> None:
    """It would fail with the guard as well."""
    (tree / "half.py").write_text("def half(n): return n / 2\n")
    assert "not all tests pass before" in str(mutate.before(tree, [guard()]))


def test_the_list_names_files_and_tests_that_exist() -> None:
    """A quick look at what `make mutate` takes minutes for."""
    for listed in read(LIST):
        path, _, name = listed.test.partition("::")
        assert (ROOT / listed.file).read_text(encoding="utf-8").count(listed.text) == 1, listed
        function = name.rpartition("::")[2].partition("[")[0]
        assert f"def {function}(" in (ROOT / path).read_text(encoding="utf-8"), listed
