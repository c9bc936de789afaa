"""Judge a bundle on a corpus, or two against each other."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from schemas.manifest import LabelsFrom
from train.label_origin import figure_name, origin_line, read_origin
from train.rows import Half
from tuwen.answers import answer, check_labels, read_half
from tuwen.application import application
from tuwen.classification import Stages
from tuwen.evaluation import BundleFigures, Comparison, compare, judge
from tuwen.evaluation_words import comparison_lines, confusion_rows, figure_lines, label_rows
from tuwen.options import with_settings
from tuwen.screen import drawn, err, out, table
from worker.settings import WorkerSettings

app = application()


class Evaluation(msgspec.Struct, frozen=True):
    """What is printed as JSON; without `--against` there is nothing to compare."""

    corpus: str
    half: Half
    bundle: BundleFigures
    against: BundleFigures | None
    comparison: Comparison | None
    labels_from: LabelsFrom | None
    """With this half in its `halves`, all figures are agreement with lexicons."""


@app.command(epilog="Example:  tuwen evaluate bundle corpus --against yesterdays-bundle")
@with_settings("image_bytes_max", "image_pixels_max", "on_image_failure", "abstain_below")
def evaluate(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="As `tuwen export` wrote it.")],
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="As `tuwen corpus check`.")],
    *,
    against: Annotated[
        Path | None, typer.Option(metavar="BUNDLE", help="Another bundle, on the same rows.")
    ] = None,
    half: Annotated[Half, typer.Option(help="The rows of test.jsonl, or of train.jsonl.")] = "test",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: WorkerSettings,
) -> None:
    """Classify a corpus's half as a worker would, and compare with its labels.

    Rows that a bundle was trained on flatter it: the test half tells how right it is.
    """
    settings = settings.model_copy(update={"image_root": corpus})
    rows, origin = read_half(corpus, half), read_origin(corpus)
    bundles = [Stages(each, settings) for each in (bundle, against) if each is not None]
    for each in bundles:
        check_labels(each, rows)
    with drawn(err()) as progress:
        answers = [answer(each, rows, settings.batch_records_max, progress) for each in bundles]
    first, *others = answers
    found = Evaluation(
        str(corpus),
        half,
        judge(first, rows),
        judge(others[0], rows) if others else None,
        compare(first, others[0], rows) if others else None,
        origin,
    )
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        _show(found)


def _show(found: Evaluation) -> None:
    console, origin = out(), found.labels_from
    name = figure_name(origin, found.half)
    if origin is not None:
        console.print(origin_line(origin), markup=False)
    for figures in (found.bundle, found.against):
        if figures is not None:
            for line in figure_lines(figures, name):
                console.print(line, markup=False)
            console.print(table(label_rows(figures)))
            console.print(table(confusion_rows(figures)))
    if found.comparison is not None:
        for line in comparison_lines(found.comparison, found.bundle.rows, name):
            console.print(line, markup=False)
