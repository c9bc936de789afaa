"""Train on real posts, export, send the test half through Kafka, and print how good it is.

    python -m benchmarks.quality [CORPUS] [--strategy NAME]... [--without-kafka]

CORPUS is by default zh_pairs_dev, unpacked from the folder that TUWEN_TEST_DATA names, and the demo
corpus where there is none. Exit 1 when both modalities together are no better than the better one,
when training took more than ten minutes, or when a post has not exactly one verdict.
"""

import argparse
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.provenance import commit, machine
from benchmarks.through_kafka import Answers, through_kafka
from export.bundle import export
from schemas.manifest import Manifest
from schemas.progress import silent
from train.fusion.registry import names
from train.settings import TrainSettings
from train.training import TrainingSummary, train
from tuwen.demo_corpus import generate

TRAINING_S_MAX: Final = 600.0
TEST_DATA: Final = "TUWEN_TEST_DATA"
ARCHIVE: Final = Path("data") / "zh_pairs_dev.tar.gz"
DEMO_POSTS: Final = (4000, 1000)
USES: Final = ("text", "image", "fused")


@dataclass(frozen=True, slots=True)
class Figures:
    """All of one corpus: training, the gate of each strategy, and the way through Kafka."""

    corpus: str
    summary: TrainingSummary
    manifests: dict[str, Manifest]
    answers: Answers | None


def measure(corpus: Path, strategies: tuple[str, ...], folder: Path, kafka: bool) -> Figures:  # noqa: FBT001 - a figure more or less.
    """Train all strategies at once; the chosen one goes through Kafka."""
    settings = TrainSettings(strategies=strategies, text_characters_ngrams=(1, 3))
    summary = train(corpus, folder / "models", settings, _told)
    manifests: dict[str, Manifest] = {
        name: export(folder / "models", folder / name, silent, strategy_name=name)
        for name in strategies
    }
    answers = through_kafka(folder / summary.strategy, corpus) if kafka else None
    return Figures(corpus.name, summary, manifests, answers)


def real_or_demo(folder: Path) -> Path:
    """zh_pairs_dev where it is to be had, else a demo corpus."""
    root = os.environ.get(TEST_DATA)
    if root and (Path(root) / ARCHIVE).is_file():
        with tarfile.open(Path(root) / ARCHIVE) as archive:
            archive.extractall(folder / "unpacked", filter="data")
        return next((folder / "unpacked").rglob("train.jsonl")).parent
    generate(folder / "demo", 7, *DEMO_POSTS, silent)
    return folder / "demo"


def table(figures: Figures) -> Iterator[str]:
    """Markdown: accuracy and calibration error by what was used, then training and serving."""
    summary = figures.summary
    yield f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; commit {commit()}"
    yield (
        f"{figures.corpus}: {summary.train_rows} posts to learn from, "
        f"{summary.evaluations[summary.strategy].rows} complete test posts, "
        f"trained in {summary.seconds:.0f} s"
    )
    yield ""
    yield "| strategy | text | image | fused | calibration error | probabilities off by | differ |"
    yield "|---|---|---|---|---|---|---|"
    for name, evaluation in summary.evaluations.items():
        parity = figures.manifests[name].parity
        accuracy = " | ".join(f"{evaluation.accuracy[use]:.4f}" for use in USES)
        off = max(figure.max_abs for figure in parity.figures if figure.stage == "scores")
        yield (
            f"| {name} | {accuracy} | {evaluation.calibration_error['fused']:.3f} "
            f"| {off:.1e} | {parity.labels_differing} of {parity.rows} |"
        )
    if figures.answers is not None:
        yield ""
        yield _said(figures.answers)


def faults(figures: Figures) -> Iterator[str]:
    """What keeps the figures from being good."""
    summary, answers = figures.summary, figures.answers
    for name, evaluation in summary.evaluations.items():
        better = max(evaluation.accuracy["text"], evaluation.accuracy["image"])
        if evaluation.accuracy["fused"] <= better:
            yield f"{name}: fused {evaluation.accuracy['fused']:.4f} is not above {better:.4f}"
    if summary.seconds > TRAINING_S_MAX:
        yield f"training took {summary.seconds:.0f} s, more than {TRAINING_S_MAX:g}"
    if answers and (answers.verdicts != answers.posts or answers.twice):
        yield f"{answers.verdicts} verdicts for {answers.posts} posts, {answers.twice} twice"


def _said(answers: Answers) -> str:
    return (
        f"Through Kafka and two workers: {answers.posts} posts, {answers.verdicts} verdicts, "
        f"{answers.dead_letters} dead letters, {answers.twice} twice, "
        f"accuracy {answers.accuracy:.4f}, {answers.seconds:.1f} s"
    )


def _told(step: str, done: int, total: int, note: str = "") -> None:
    if done == total or note:
        print(f"{step} {done}/{total} {note}", file=sys.stderr)  # noqa: T201 - a program of figures.


def main() -> int:
    """Print the table; exit 1 when a figure is not what it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--strategy", action="append", choices=names())
    parser.add_argument("--without-kafka", action="store_true")
    told = parser.parse_args()
    strategies = tuple(told.strategy or names())
    with tempfile.TemporaryDirectory() as folder:
        corpus = told.corpus or real_or_demo(Path(folder))
        figures = measure(corpus.resolve(), strategies, Path(folder), not told.without_kafka)
    print("\n".join(table(figures)))  # noqa: T201 - a program of figures.
    found = list(faults(figures))
    print("\n".join(found), file=sys.stderr)  # noqa: T201 - a program of figures.
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
