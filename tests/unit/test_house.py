"""What holds for the project's files as such."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LINES_MAX = 400
FUNCTION_LINES_MAX = 60
BINARY_BYTES_MAX = 2**20
PACKAGES = ("schemas", "features", "inference", "train", "export", "worker", "tuwen")


def modules() -> Iterator[Path]:
    """Give every module of the project and of its tests."""
    for package in (*PACKAGES, "benchmarks", "tests"):
        yield from (ROOT / package).rglob("*.py")


def committed() -> list[Path]:
    """Give every committed file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def pyproject() -> dict[str, Any]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_no_module_is_long() -> None:
    """A module that grows over the limit holds two things."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {str(path): n for path, n in lengths.items() if n > LINES_MAX} == {}


def test_no_function_is_long() -> None:
    """A function that does not fit on a screen does two things."""
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_a_package_file_holds_nothing_but_a_docstring_and_names() -> None:
    """`__init__` re-exports or says what the package is for; it does nothing."""
    allowed = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign)
    doing = [
        str(path.relative_to(ROOT))
        for path in modules()
        if path.name == "__init__.py"
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if not isinstance(node, allowed)
    ]
    assert doing == []


def test_every_package_is_installed_and_held_to_the_import_lines() -> None:
    """A new top-level package must be given its place."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    include = pyproject()["tool"]["setuptools"]["packages"]["find"]["include"]
    assert found == set(PACKAGES)
    assert {name for name in include if "." not in name} == found
    assert set(pyproject()["tool"]["importlinter"]["root_packages"]) == found


def test_checksums_of_records_are_not_made_in_python() -> None:
    """Without this package the Kafka client makes them so, which costs more than all the rest."""
    needed = {re.split(r"[<>=\[;]", each)[0] for each in pyproject()["project"]["dependencies"]}
    assert "crc32c" in needed


def test_every_module_must_be_given_its_place() -> None:
    """Each package has a contract of layers that knows all of its modules."""
    contracts = pyproject()["tool"]["importlinter"]["contracts"]
    exhaustive = {
        name
        for contract in contracts
        if contract.get("exhaustive")
        for name in contract["containers"]
    }
    assert set(PACKAGES) <= exhaustive


@pytest.mark.parametrize("package", ["tests/unit", "tests/integration", "tests/contract"])
def test_test_folders_are_packages_all_the_way_down(package: str) -> None:
    """A `tests/unit/worker` without an `__init__.py` would shadow `worker`."""
    folders = {path.parent for path in (ROOT / package).rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_lock_names_an_address() -> None:
    """Pins have hashes, and whoever installs chooses where from."""
    for lock in (ROOT / "locks").glob("*.txt"):
        content = lock.read_text(encoding="utf-8")
        assert "://" not in content
        pins = len(re.findall(r"^[a-z].*==", content, re.MULTILINE))
        assert 0 < pins <= content.count("--hash=sha256:")


def test_the_serving_lock_is_part_of_the_whole_one() -> None:
    """What serves is what was tested."""
    pins = [
        set(re.findall(r"^([a-z0-9-]+==\S+)", (ROOT / "locks" / lock).read_text(), re.MULTILINE))
        for lock in ("serving.txt", "all.txt")
    ]
    assert pins[0] <= pins[1]


def test_nothing_of_one_machine_and_nothing_large_is_committed() -> None:
    """No path of somebody's home, and no large binary."""
    files = committed()
    assert [path for path in files if path.stat().st_size > BINARY_BYTES_MAX] == []
    homes = re.compile(rb"(/" + rb"root/|/" + rb"home/(?!tuwen)|/" + rb"Users/|/" + rb"work/)")
    assert [str(path) for path in files if homes.search(path.read_bytes())] == []
