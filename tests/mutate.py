"""Remove each guard of `mutations.toml` in a copy of the tree, and see that its test fails."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("mutations.toml")
NOT_COPIED = (".git", ".venv", ".tuwen", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info")
TEST_TIMEOUT_S = 180.0
ALL_TESTS_TIMEOUT_S = 900.0
_SECONDS = itertools.count(10, 10)
FAILED = 1
"""The exit code of pytest when a test failed; others mean that it did not run."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands in a file, what stands there when it is gone, and the test that tells."""

    holds: str
    file: str
    text: str
    by: str
    test: str


def main(words: Sequence[str]) -> int:
    """Try the guards that speak of all `words`; exit 1 unless without each its test fails."""
    console = Console(highlight=False, soft_wrap=True)
    guards = [guard for guard in read(LIST) if all(word in f"{guard}" for word in words)]
    if not guards:
        console.print(f"no guard speaks of {' '.join(words)}", markup=False)
        return 2
    with tempfile.TemporaryDirectory(prefix="tuwen-mutate-") as scratch:
        trees = copies(Path(scratch), min(len(guards), os.cpu_count() or 1))
        faults = list(filter(None, [before(trees[0], guards)]))
        for guard, fault in zip(guards, () if faults else tried(trees, guards), strict=False):
            console.print(f"{'kept ' if fault else 'found'}  {guard.holds}", markup=False)
            faults += [fault] if fault else []
    for fault in faults:
        console.print(f"mutate: {fault}", markup=False)
    console.print(
        f"{len(guards) - len(faults)} of {len(guards)} guards hold: without each, its test fails"
    )
    return 1 if faults else 0


def read(path: Path) -> list[Guard]:
    """Read the list."""
    with path.open("rb") as source:
        return [Guard(**row) for row in tomllib.load(source)["guard"]]


def copies(scratch: Path, count: int) -> list[Path]:
    """Copy the tree so many times: one for each guard that is tried at the same time."""
    trees = [scratch / f"tree-{number}" for number in range(count)]
    for tree in trees:
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return trees


def tried(trees: Sequence[Path], guards: Sequence[Guard]) -> Iterator[str | None]:
    """Try guards side by side, each in a tree of its own; what `without` says, in their order."""
    idle: SimpleQueue[Path] = SimpleQueue()
    for tree in trees:
        idle.put(tree)

    def one(guard: Guard) -> str | None:
        tree = idle.get()
        try:
            return without(tree, guard)
        finally:
            idle.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        yield from pool.map(one, guards)


def before(tree: Path, guards: Iterable[Guard]) -> str | None:
    """Run all named tests on the tree as it is; a sentence when one does not pass."""
    tests = sorted({guard.test for guard in guards})
    side_by_side = ["--numprocesses", f"{os.cpu_count() or 1}", "--dist", "loadfile"]
    code, said = run(tree, [*side_by_side, *tests], ALL_TESTS_TIMEOUT_S)
    return None if code == 0 else f"not all tests pass before anything is removed:\n{said}"


def without(tree: Path, guard: Guard) -> str | None:
    """Remove one guard, run its test, and put it back; a sentence when the test did not fail."""
    path = tree / guard.file
    whole = path.read_text(encoding="utf-8")
    found = whole.count(guard.text)
    if found != 1:
        return f"{guard.file} holds {guard.text!r} {found} times, not once"
    write(path, whole.replace(guard.text, guard.by))
    try:
        code, said = run(tree, [guard.test], TEST_TIMEOUT_S)
    finally:
        write(path, whole)
    if code == FAILED:
        return None
    if code == 0:
        return f"{guard.test} passes without {guard.text!r} in {guard.file}"
    return f"{guard.test} did not run without {guard.text!r} in {guard.file}:\n{said}"


def write(path: Path, text: str) -> None:
    """Write a file with a time that it never had.

    Compiled files go by size and second: a change within one would be taken for none.
    """
    path.write_text(text, encoding="utf-8")
    changed_s = path.stat().st_mtime + next(_SECONDS)
    os.utime(path, (changed_s, changed_s))


def run(tree: Path, words: Sequence[str], timeout_s: float) -> tuple[int, str]:
    """Run pytest on a tree, with that tree's packages; gives its exit code and last lines."""
    # Before the installed packages, for children as well.
    environment = os.environ | {"PYTHONPATH": str(tree)}
    options = ["-q", "-x", "--no-header", "-p", "no:cacheprovider"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *words],
            cwd=tree,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # A test that hangs without its guard has failed as well.
        return FAILED, f"no end within {timeout_s:.0f} s"
    return done.returncode, done.stdout[-2000:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
