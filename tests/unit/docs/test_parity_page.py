import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "docs" / name for name in ("parity.md", "parity.zh.md")]
TESTS = ROOT / "tests" / "unit" / "export" / "silent_faults"
NAMED = re.compile(r"`(test_\w+)` \|$", re.MULTILINE)


def _tests() -> set[str]:
    """The tests of silent faults that there are."""
    return {
        node.name
        for file in TESTS.glob("test_*.py")
        for node in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_silent_fault_is_in_the_table_with_its_test() -> None:
    """In both languages, and each test that is named is there."""
    english, chinese = (NAMED.findall(page.read_text(encoding="utf-8")) for page in PAGES)
    assert english == chinese
    assert set(english) <= _tests()
    assert _tests() - set(english) == {"test_bytes_are_scaled_in_the_graph"}
