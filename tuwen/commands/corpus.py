"""Make a corpus of demo posts, or check one of yours."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from tuwen.application import group
from tuwen.failures import Failed
from tuwen.screen import drawn, err, out

if TYPE_CHECKING:
    from train.corpus_report import CorpusReport

app = group(example="tuwen corpus generate corpus")

TRAIN_POSTS = 4_000
TEST_POSTS = 1_000
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _group() -> None:
    """A corpus is a folder: train.jsonl, test.jsonl, and the images that their rows name."""


@app.command(epilog="Example:  tuwen corpus generate corpus --seed 7")
def generate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
    *,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal bytes.")] = 7,
    train_posts: Annotated[int, typer.Option(min=1, help="Posts to train on.")] = TRAIN_POSTS,
    test_posts: Annotated[int, typer.Option(min=1, help="Posts to test on.")] = TEST_POSTS,
) -> None:
    """Make a corpus of composed texts and drawn faces, with three labels."""
    from tuwen.demo_corpus import generate as generate_corpus

    with drawn(err()) as progress:
        generate_corpus(folder, seed, train_posts, test_posts, progress)
    out().print(f"{train_posts:,} + {test_posts:,} posts in {folder}", markup=False)


@app.command(epilog="Example:  tuwen corpus check corpus --json")
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The corpus.")],
    *,
    as_json: Json = False,
) -> None:
    """Report sizes, classes, missing and unreadable images, duplicates, and overlap of halves.

    Exit 1 when it cannot be trained on.
    """
    from train.corpus import check as check_corpus

    report = check_corpus(folder)
    if as_json:
        typer.echo(msgspec.json.encode(report, enc_hook=str))
    else:
        _show(report)
    if not report.usable:
        raise Failed(f"{folder} cannot be trained on: correct what is marked with ✗")


def _show(report: "CorpusReport") -> None:
    console = out()
    for half, facts in report.halves.items():
        labels = ", ".join(f"{name} {count:,}" for name, count in facts.labels.items())
        console.print(
            f"{half:<6} {facts.rows:>7,} rows: {facts.complete:,} complete, {facts.text_only:,} "
            f"with text alone, {facts.image_only:,} with image alone; {labels}",
            markup=False,
        )
    for found in report.found:
        mark = "✗" if found.fatal else "·"
        examples = ", ".join(found.examples)
        console.print(f"{mark} {found.count:>6,} {found.finding}: {examples}", markup=False)
    if not report.found:
        console.print("nothing is wrong with it")
