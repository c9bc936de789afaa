from pathlib import Path

from tests.chaos import document
from tests.chaos.scenario import Figures
from tests.chaos.table import by_name


def rows(file: Path) -> dict[str, str]:
    """The rows of the table, by the names of their scenarios."""
    lines = [line for line in file.read_text("utf-8").splitlines() if line.startswith("| `")]
    return {line.split("`")[1]: line for line in lines}


def write(file: Path, name: str, commit: str, posts: int = 1, short: bool = False) -> None:
    """Write what a run of one scenario gave."""
    document.write(file, by_name(name), Figures(posts=posts), short, commit)


def test_a_run_writes_its_own_row_and_keeps_all_others(tmp_path: Path) -> None:
    """Each keeps the commit that it was measured at, in the order of the table."""
    file = tmp_path / "faults.md"
    write(file, "poison", "aaa")
    write(file, "kill", "bbb")
    write(file, "kill", "ccc", posts=2_000)
    assert list(rows(file)) == ["kill", "poison"]
    assert "commit aaa" in rows(file)["poison"]
    assert "2,000" in rows(file)["kill"]
    assert "commit ccc" in rows(file)["kill"]


def test_a_short_run_leaves_the_row_of_a_full_one(tmp_path: Path) -> None:
    """It replaces one of its kind, and a full run replaces both."""
    file = tmp_path / "faults.md"
    write(file, "kill", "aaa", short=True)
    write(file, "kill", "bbb", short=True)
    assert "commit bbb" in rows(file)["kill"]
    write(file, "kill", "ccc")
    write(file, "kill", "ddd", short=True)
    assert "commit ccc" in rows(file)["kill"]


def test_what_is_written_by_hand_stays(tmp_path: Path) -> None:
    """It stands in sections after the table."""
    file = tmp_path / "faults.md"
    write(file, "kill", "aaa")
    written = "\n## By hand\n\nOf what no row says.\n"
    file.write_text(file.read_text("utf-8") + written, encoding="utf-8")
    write(file, "poison", "bbb")
    assert file.read_text("utf-8").endswith(f"|\n{written}")
    assert list(rows(file)) == ["kill", "poison"]


def test_a_row_says_how_to_get_it_again(tmp_path: Path) -> None:
    """By the command that gave it."""
    file = tmp_path / "faults.md"
    write(file, "kill", "aaa", short=True)
    write(file, "poison", "aaa")
    assert "`make chaos ARGS='--short kill'`" in rows(file)["kill"]
    assert "`make chaos ARGS=poison`" in rows(file)["poison"]
