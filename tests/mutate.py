"""Remove each guard of `mutations.toml` in a copy of the tree, and see that its test fails.

    python -m tests.mutate [--tested] [WORD…]

Words choose guards that speak of all of them. A test that fails anyway proves nothing, so all run
first on the tree as it is; `--tested` says that they have just passed.
"""

import itertools
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from rich.console import Console

from tests.forked_pytest import FAILED, ForkedPytest, forked_pytests

ROOT = Path(__file__).parents[1]
LIST = Path(__file__).with_name("mutations.toml")
NOT_COPIED = (".git", ".venv", ".tuwen", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info")
TESTED = "--tested"
TREES_PER_CPU = 2
"""Many tests wait, in vain, for what their guard would have brought about."""
TEST_TIMEOUT_S = 180.0
"""More than any of the tests takes. One that hangs without its guard has failed as well."""
ALL_TESTS_TIMEOUT_S = 900.0
_SECONDS = itertools.count(10, 10)


@dataclass(frozen=True, slots=True)
class Guard:
    """What stands in a file, what stands there when it is gone, and the test that tells.

    `rules` are those of `kafka_rules.toml` that it keeps.
    """

    holds: str
    file: str
    text: str
    by: str
    test: str
    rules: tuple[str, ...] = ()


def main(words: Sequence[str]) -> int:
    """Try the guards that speak of all `words`; exit 1 unless without each its test fails."""
    console = Console(highlight=False, soft_wrap=True)
    asked = [word for word in words if word != TESTED]
    guards = [guard for guard in read(LIST) if all(word in f"{guard}" for word in asked)]
    if not guards:
        console.print(f"no guard speaks of {' '.join(asked)}", markup=False)
        return 2
    with tempfile.TemporaryDirectory(prefix="tuwen-mutate-") as scratch:
        trees = copies(Path(scratch), min(len(guards), TREES_PER_CPU * (os.cpu_count() or 1)))
        with forked_pytests(trees) as pytests:
            if TESTED not in words and (fault := before(pytests[0], guards)):
                console.print(f"mutate: {fault}", markup=False)
                return 1
            faults = []
            for guard, (fault, took_s) in zip(guards, tried(pytests, guards), strict=True):
                found = "kept " if fault else "found"
                console.print(f"{found}  {took_s:4.1f} s  {guard.holds}", markup=False)
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
        rows = tomllib.load(source)["guard"]
    return [Guard(**row | {"rules": tuple(row.get("rules", ()))}) for row in rows]


def copies(scratch: Path, count: int) -> list[Path]:
    """Copy the tree so many times: one for each guard that is tried at the same time."""
    trees = [scratch / f"tree-{number}" for number in range(count)]
    for tree in trees:
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_COPIED))
    return trees


def tried(
    pytests: Sequence[ForkedPytest], guards: Sequence[Guard]
) -> Iterator[tuple[str | None, float]]:
    """Try guards side by side, each in a tree of its own.

    Gives what `without` says, and the seconds that it took, in the guards' order.
    """
    idle: SimpleQueue[ForkedPytest] = SimpleQueue()
    for pytest in pytests:
        idle.put(pytest)

    def one(guard: Guard) -> tuple[str | None, float]:
        pytest = idle.get()
        began_s = time.monotonic()
        try:
            return without(pytest, guard), time.monotonic() - began_s
        finally:
            idle.put(pytest)

    with ThreadPoolExecutor(len(pytests)) as pool:
        yield from pool.map(one, guards)


def before(pytest: ForkedPytest, guards: Iterable[Guard]) -> str | None:
    """Run all named tests on the tree as it is; a sentence when one does not pass."""
    tests = sorted({guard.test for guard in guards})
    side_by_side = ["--numprocesses", f"{os.cpu_count() or 1}", "--dist", "loadfile"]
    code, said = pytest.run([*side_by_side, *tests], ALL_TESTS_TIMEOUT_S)
    return None if code == 0 else f"not all tests pass before anything is removed:\n{said}"


def without(pytest: ForkedPytest, guard: Guard) -> str | None:
    """Remove one guard, run its test, and put it back; a sentence when the test did not fail."""
    path = pytest.tree / guard.file
    whole = path.read_text(encoding="utf-8")
    found = whole.count(guard.text)
    if found != 1:
        return f"{guard.file} holds {guard.text!r} {found} times, not once"
    write(path, whole.replace(guard.text, guard.by))
    try:
        code, said = pytest.run([guard.test], TEST_TIMEOUT_S)
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
