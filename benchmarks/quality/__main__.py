"""Train on real and on made posts, export, send posts through Kafka, and print how good it is.

    python -m benchmarks.quality [--part real|demo|labels|leakage]... [--seed N]...

`real` takes a quarter of an hour for each seed on two cores, `leakage` five minutes, `labels`
three. Exit 1 when a figure is not what it must be, and 2 when all are but the real posts are
missing (TUWEN_TEST_DATA names the folder of their archive): `real` and `leakage` are left out then.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from benchmarks.provenance import commit, machine
from benchmarks.quality import corpora, measures
from benchmarks.quality.categories import WORDS, Made, make
from benchmarks.quality.costs import costs
from benchmarks.quality.figures import Figure, at_least, at_most, equal, table
from benchmarks.quality.runs import run, strategies
from benchmarks.through_kafka import Answers, through_kafka
from train.settings import TrainSettings

SEEDS: Final = (0, 1, 2)
LEAKAGE_EPOCHS: Final = 3
KAFKA_MIN: Final = 0.82
DEMO_SINGLE_MIN: Final = 0.82
DEMO_FUSED_MIN: Final = 0.9
DEMO_CNN_S_MAX: Final = 30.0

TEN: Final = Made((1.0,) * len(WORDS), train=3000, test=1500)
SMALLEST: Final = Made((0.62, 0.3, 0.08), train=2000, test=1500)
LABELS_EPOCHS: Final = 15

Part = Callable[[Path, Sequence[int]], Iterator[Figure]]


def real(folder: Path, seeds: Sequence[int]) -> Iterator[Figure]:
    """All strategies on real posts; words alone and the ensemble alone beside them."""
    corpus = corpora.real(folder)
    settings = TrainSettings(text_characters_ngrams=(1, 3))
    runs = [
        run(
            corpus,
            folder / f"seed-{seed}",
            replace(settings, seed=seed),
            strategies() if seed == seeds[0] else (),
        )
        for seed in seeds
    ]
    first = runs[0]
    words = TrainSettings(strategies=("soft-voting",), epochs=1, seed=first.seed)
    alone = replace(settings, strategies=("ensemble",), seed=first.seed)
    by_words = run(corpus, folder / "words", words).summary.accuracy["text"]
    yield at_least("text alone, words", by_words, measures.WORDS_MIN)
    yield from measures.accuracies(runs)
    yield from measures.choices(runs)
    yield from measures.missing(runs)
    yield from measures.calibration(runs)
    yield from measures.durations(runs, run(corpus, folder / "ensemble-alone", alone))
    yield from measures.parities(list(first.manifests.values()))
    bundles = {name: first.folder / name for name in first.manifests}
    yield from costs(bundles, corpus)
    yield from served(through_kafka(first.folder / first.summary.strategy, corpus))


def served(answers: Answers) -> Iterator[Figure]:
    """The test half through Kafka and two workers."""
    yield equal("posts without exactly one verdict", _unanswered(answers), 0)
    yield at_least("accuracy through Kafka", answers.accuracy, KAFKA_MIN)


def demo(folder: Path, seeds: Sequence[int]) -> Iterator[Figure]:
    """What the demo trains, on its own posts."""
    settings = TrainSettings(strategies=("soft-voting",), image_scoring="held-out", seed=seeds[0])
    summary = run(corpora.demo(folder), folder / "of-demo", settings).summary
    for use in ("text", "image"):
        yield at_least(f"demo, {use} alone", summary.accuracy[use], DEMO_SINGLE_MIN)
    yield at_least("demo, fused", summary.accuracy["fused"], DEMO_FUSED_MIN)
    yield at_most("demo, the CNN", summary.seconds_by_step["image"], DEMO_CNN_S_MAX, " s")


def labels(folder: Path, seeds: Sequence[int]) -> Iterator[Figure]:
    """Ten categories, and a label of 8 % of the rows; a third of the rows has no image."""
    settings = TrainSettings(
        strategies=("ensemble",), epochs=LABELS_EPOCHS, image_scoring="held-out", seed=seeds[0]
    )
    ten = make(folder / "ten", TEN, seeds[0])
    few = make(folder / "few", SMALLEST, seeds[0])
    yield measures.macro_f1("ten categories", run(ten, folder / "of-ten", settings))
    by_row = run(few, folder / "of-few", settings)
    by_label = run(few, folder / "of-balanced", replace(settings, class_weight="balanced"))
    yield measures.macro_f1("8 % smallest label", by_row)
    yield measures.macro_f1("8 % smallest label, balanced", by_label)
    yield measures.recall_of_rarest("8 % smallest label, balanced", by_label, by_row)


def leakage(folder: Path, seeds: Sequence[int]) -> Iterator[Figure]:
    """Real posts whose labels say nothing."""
    corpus = corpora.permuted(corpora.real(folder), folder / "permuted", seeds[0])
    settings = TrainSettings(epochs=LEAKAGE_EPOCHS, seed=seeds[0], text_characters_ngrams=(1, 3))
    yield from measures.leakage(run(corpus, folder / "of-permuted", settings))


PARTS: Final[dict[str, Part]] = {
    "real": real,
    "demo": demo,
    "labels": labels,
    "leakage": leakage,
}


def main() -> int:
    """Print the table of each part; exit 1 when a figure is not what it should be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--seed", type=int, action="append")
    told = parser.parse_args()
    print(f"{machine()}; {datetime.now(UTC):%Y-%m-%d}; commit {commit()}")  # noqa: T201 - its product.
    missed, left_out = 0, 0
    for name in told.part or PARTS:
        with tempfile.TemporaryDirectory(prefix="tuwen-quality-") as folder:
            try:
                figures = list(PARTS[name](Path(folder), told.seed or SEEDS))
            except corpora.NoRealPosts as absent:
                print(f"{name} is left out: {absent}", file=sys.stderr)  # noqa: T201 - as above.
                left_out += 1
                continue
        print("\n".join(["", f"## {name}", "", *table(figures)]), flush=True)  # noqa: T201 - as above.
        missed += sum(not figure.reached for figure in figures)
    if missed:
        return 1
    return 2 if left_out else 0


def _unanswered(answers: Answers) -> int:
    return answers.posts - answers.verdicts + answers.twice


if __name__ == "__main__":
    sys.exit(main())
