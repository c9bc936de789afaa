"""Run the case study on a corpus, print its figures, and draw them.

    python -m benchmarks.case_study [--corpus DIR] [--out picture.svg]

Without a corpus one of demo posts is made. It takes about a minute on two cores.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import jieba

from benchmarks.case_study.picture import MISTAKES, NAMES, draw
from benchmarks.case_study.study import Figures, study
from benchmarks.provenance import commit, machine
from tuwen.demo_corpus import generate
from tuwen.screen import drawn, err

TRAIN_POSTS: Final = 3_000
TEST_POSTS: Final = 1_000
_SEED: Final = 7
_QUIET: Final = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """Study, print, draw. Exit 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.case_study")
    parser.add_argument("--corpus", type=Path, help="a corpus of yours")
    parser.add_argument("--out", type=Path, help="where the picture goes, an SVG")
    given = parser.parse_args(arguments)
    jieba.setLogLevel(_QUIET)
    with drawn(err()) as progress, _corpus(given.corpus) as corpus:
        if given.corpus is None:
            generate(corpus, _SEED, TRAIN_POSTS, TEST_POSTS, progress)
        figures = study(corpus, progress)
    for line in table(figures):
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"\n{machine()}, commit {commit()}\n")
    if given.out is not None:
        draw(figures, given.out)
    return 0


def table(figures: Figures) -> Iterator[str]:
    """A line for each figure."""
    for name, words in NAMES.items():
        mark = "✗" if name in MISTAKES else " "
        yield f"{mark} {words:<37}{getattr(figures, name):.3f}"


@contextmanager
def _corpus(given: Path | None) -> Iterator[Path]:
    """The folder that was named, or one that is gone at the end."""
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="tuwen-case-study-") as folder:
        yield Path(folder) / "corpus"


if __name__ == "__main__":
    sys.exit(main())
