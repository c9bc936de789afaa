"""Run pytest in forks of one process that has imported the libraries, and nothing of the project.

What a test needs of numpy, scikit-learn and TensorFlow costs seconds to import, more than most
tests take. Each run is a fork: it has the libraries, and imports the project anew.
"""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

FAILED: Final = 1
"""The exit code of pytest when a test failed; others mean that it did not run."""
SAID_CHARACTERS: Final = 2000
OPTIONS: Final = ("-q", "-x", "--no-header", "-p", "no:cacheprovider")
# Without onnxruntime and aiodns, which start threads (what has threads may not be forked), and
# without Hypothesis, whose asserts pytest wants to rewrite first.
LIBRARIES: Final = (
    "aiohttp",
    "jsonschema",
    "kafka",
    "keras",
    "onnx",
    "prometheus_client",
    "pydantic_settings",
    "pytest",
    "rich.live",
    "skl2onnx",
    "sklearn.calibration",
    "sklearn.feature_extraction.text",
    "sklearn.model_selection",
    "sklearn.svm",
    "structlog",
    "tensorflow",
    "typer.testing",
)
_VARIABLES: Final = {
    # As `export.tensorflow_import` has it imported.
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    # A second thread would be lost in each fork.
    "OPENBLAS_NUM_THREADS": "1",
}
_LOOK_S: Final = 0.01


class ForkedPytest:
    """A process that forks for each run, in the folder `tree` and with its packages.

    They come before the installed ones, for children of a test as well.
    """

    def __init__(self, tree: Path, libraries: Sequence[str] = LIBRARIES) -> None:
        self.tree = tree
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, *libraries],
            cwd=tree,
            env=os.environ | _VARIABLES | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def run(self, words: Sequence[str], timeout_s: float) -> tuple[int, str]:
        """Run pytest on `words`; its exit code and last lines. What has no end has failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([[*OPTIONS, *words], timeout_s]) + "\n")
        self._process.stdin.flush()
        code, said = json.loads(self._process.stdout.readline())
        return code, said

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@contextlib.contextmanager
def forked_pytests(
    trees: Sequence[Path], libraries: Sequence[str] = LIBRARIES
) -> Iterator[list[ForkedPytest]]:
    """One for each tree, ended at the end."""
    started = [ForkedPytest(tree, libraries) for tree in trees]
    try:
        yield started
    finally:
        for each in started:
            each.close()


def _serve(libraries: Sequence[str]) -> None:
    for name in libraries:
        importlib.import_module(name)
    for line in sys.stdin:
        words, timeout_s = json.loads(line)
        with tempfile.TemporaryFile() as output:
            code = _in_a_fork(words, output.fileno(), timeout_s)
            output.seek(0)
            said = output.read().decode(errors="replace")[-SAID_CHARACTERS:]
        sys.stdout.write(json.dumps([code, said]) + "\n")
        sys.stdout.flush()


def _in_a_fork(words: list[str], output: int, timeout_s: float) -> int:
    child = os.fork()
    if child == 0:
        os._exit(_tests(words, output))
    deadline_s = time.monotonic() + timeout_s
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(_LOOK_S)
    os.write(output, f"\nno end within {timeout_s:.0f} s".encode())
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return FAILED


def _tests(words: list[str], output: int) -> int:
    """Be the child: a group of its own, so that all it starts can be ended with it."""
    import pytest

    os.setsid()
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a descriptor is wanted.
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    code = pytest.main(words)
    sys.stdout.flush()
    return int(code)


if __name__ == "__main__":
    _serve(sys.argv[1:])
