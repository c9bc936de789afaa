"""Make corpus, models, bundle and report in a process of its own, so that the demo's stays small.

    python -P -m tuwen.demo.build FOLDER SEED TRAIN_POSTS TEST_POSTS

Lines of `tuwen.demo.messages` go to stdout; what libraries say goes to stderr, which is a log.
"""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tuwen.demo.messages import Broken, Finished, Message, Step
from tuwen.failures import FAILED, explain


def tell(message: Message) -> None:
    """Write one line, at once."""
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()


def progress(step: str, done: int, total: int, note: str = "") -> None:
    """Tell of a step."""
    tell(Step(step, done, total, note))


def timed(stage: str, work: Callable[[], Sequence[str]]) -> None:
    """Do a stage, and tell how long it took and what is worth reading."""
    began = time.monotonic()
    words = work()
    tell(Finished(stage, time.monotonic() - began, tuple(words)))


def build(folder: Path, seed: int, train_posts: int, test_posts: int) -> None:
    """Make `corpus`, `models`, `bundle` and `report.html` in the folder."""
    timed("corpus", lambda: _corpus(folder, seed, train_posts, test_posts))
    timed("training", lambda: _train(folder))
    timed("export", lambda: _export(folder))


def _corpus(folder: Path, seed: int, train_posts: int, test_posts: int) -> Sequence[str]:
    from tuwen.demo_corpus import generate

    generate(folder / "corpus", seed, train_posts, test_posts, progress)
    return [f"{train_posts:,} posts to train on, {test_posts:,} to test on"]


def _train(folder: Path) -> Sequence[str]:
    from train.settings import TrainSettings
    from train.training import train

    # One strategy and one CNN, so that the demo starts soon.
    settings = TrainSettings(strategies=("soft-voting",), image_scoring="held-out")
    summary = train(folder / "corpus", folder / "models", settings, progress)
    parts = ", ".join(f"{name} {value:.3f}" for name, value in summary.accuracy.items())
    return [f"accuracy on the test half: {parts}"]


def _export(folder: Path) -> Sequence[str]:
    from export.bundle import export
    from train.report.writing import write_report

    manifest = export(folder / "models", folder / "bundle", progress, folder / "corpus")
    bundles = [folder / "bundle"]
    write_report(folder / "models", folder / "report.html", progress, folder / "corpus", bundles)
    parity = manifest.parity
    figures = ", ".join(f"{f.stage} {f.max_abs:.1e}" for f in parity.figures)
    rows = f"{parity.rows} rows and {parity.adversarial_rows} adversarial ones"
    return [
        f"largest differences: {figures}",
        f"labels that differ: {parity.labels_differing} of {rows}",
    ]


def main(arguments: Sequence[str]) -> int:
    """Run, and tell of an error as of anything else."""
    folder, seed, train_posts, test_posts = arguments
    try:
        build(Path(folder), int(seed), int(train_posts), int(test_posts))
    except Exception as fault:  # noqa: BLE001 - told to the demo, in words
        tell(Broken(explain(fault).text))
        return FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
