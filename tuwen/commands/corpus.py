"""Make a corpus of demo posts or of a file of rows of yours, or check one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from tuwen.application import group
from tuwen.failures import Failed
from tuwen.screen import drawn, err, out

if TYPE_CHECKING:
    from train.corpus_report import CorpusReport, HalfReport
    from train.rows import Half
    from train.splitting.split import SplitReport

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
    from train.label_origin import origin_line, read_origin

    with drawn(err()) as progress:
        report = check_corpus(folder, progress)
    origin = read_origin(folder)
    if as_json:
        facts = msgspec.to_builtins(report, enc_hook=str) | {"labels_from": origin}
        typer.echo(msgspec.json.encode(facts))
    else:
        _show(report)
        if origin is not None:
            out().print(origin_line(origin), markup=False)
    if not report.usable:
        raise Failed(f"{folder} cannot be trained on: correct what is marked with ✗")


@app.command(epilog="Example:  tuwen corpus split posts.csv --out corpus")
def split(
    file: Annotated[
        Path, typer.Argument(metavar="ROWS", help="JSON Lines or CSV; images lie beside it.")
    ],
    *,
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="The corpus, a new folder.")],
    by: Annotated[
        Literal["group", "time"],
        typer.Option(help="group: by chance and label; time: the latest rows are tested on."),
    ] = "group",
    group_by: Annotated[
        str | None,
        typer.Option(metavar="FIELD", help="Rows of one value of it stay together, too."),
    ] = None,
    test_share: Annotated[float, typer.Option(help="Of the rows, to test on.")] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of the chance in group.")] = 7,
    as_json: Json = False,
) -> None:
    """Divide one file of rows into a corpus; what has one text or image stays on one side.

    A row has id, text, image, label, and, if you like, label_name and time.

    Needs the extra: pip install 'tuwen[train]'.
    """
    from train.splitting.split import SplitSettings
    from train.splitting.split import split as split_rows

    settings = SplitSettings(by, group_by, test_share, seed)
    with drawn(err()) as progress:
        report = split_rows(file, folder, settings, progress)
    if as_json:
        typer.echo(msgspec.json.encode(report, enc_hook=str))
        return
    for line in split_lines(report):
        out().print(line, markup=False)


def split_lines(report: "SplitReport") -> Iterator[str]:
    """What went where."""
    yield from _half_lines(report.halves)
    yield (
        f"{report.groups:,} groups: {report.rows_together:,} rows share a text, an image or a "
        "field with others, and stand on one side with them"
    )
    if report.test_from is not None:
        yield f"the test half begins at {report.test_from}"
    if report.labels_from is not None:
        from train.label_origin import origin_line

        yield origin_line(report.labels_from)
    yield f"corpus in {report.path}, with {report.images:,} images"


def _half_lines(halves: "Mapping[Half, HalfReport]") -> Iterator[str]:
    for half, facts in halves.items():
        labels = ", ".join(f"{name} {count:,}" for name, count in facts.labels.items())
        yield (
            f"{half:<6} {facts.rows:>7,} rows: {facts.complete:,} complete, {facts.text_only:,} "
            f"with text alone, {facts.image_only:,} with image alone; {labels}"
        )


def _show(report: "CorpusReport") -> None:
    console = out()
    for line in _half_lines(report.halves):
        console.print(line, markup=False)
    for found in report.found:
        mark = "✗" if found.fatal else "·"
        examples = ", ".join(found.examples)
        console.print(f"{mark} {found.count:>6,} {found.finding}: {examples}", markup=False)
    if not report.found:
        console.print("nothing is wrong with it")
