"""Label the texts of a corpus by sentiment lexicons, without people."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from inference.judging import Accuracy
from train.labelling.figures import LexiconFigures
from train.labelling.labels import LabellingReport, LabelsBy, LabelSettings
from train.labelling.labels import label as label_corpus
from train.labelling.lexicon import SHIPPED, Lexicon, read, shipped
from train.labelling.rule import RuleSettings
from tuwen.application import application
from tuwen.screen import drawn, err, out, table

app = application()

DEFAULTS = RuleSettings()


@app.command(epilog="Example:  tuwen label posts --lexicon shipped --lexicon mine.txt --out corpus")
def label(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="Its rows may lack a label.")],
    *,
    labelled: Annotated[Path, typer.Option("--out", metavar="LABELLED", help="A new folder.")],
    lexicon: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Words with their polarity; several label where they agree; "
            f"`{SHIPPED}` is tuwen's own. [default: {SHIPPED}]",
        ),
    ] = None,
    neutral: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Give texts without any polar word this label."),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="[default: as in the corpus, else 积极]"),
    ] = None,
    negative: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="[default: as in the corpus, else 消极]"),
    ] = None,
    window: Annotated[
        int, typer.Option(help="Words before a polar word that may change it.")
    ] = DEFAULTS.window,
    lean_min: Annotated[
        float,
        typer.Option(help="Least lean to one side, 0 to 1.", show_default="1/3"),
    ] = DEFAULTS.lean_min,
    test_labels: Annotated[
        LabelsBy | None,
        typer.Option(help="Of the test half. [default: people's, where there are any]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a corpus of the rows that lexicons can label; they abstain from the others.

    A model learns the lexicons' errors too: figures against such labels are agreement.
    """
    rule = RuleSettings(window=window, lean_min=lean_min)
    settings = LabelSettings(rule, positive, negative, neutral, test_labels)
    lexicons = [_lexicon(name) for name in lexicon or [SHIPPED]]
    with drawn(err()) as progress:
        report = label_corpus(corpus, lexicons, settings, labelled, progress)
    if as_json:
        typer.echo(msgspec.json.encode(report))
        return
    out().print(table(figure_rows(report)))
    for line in report_lines(report, labelled):
        out().print(line, markup=False)


def figure_rows(report: LabellingReport) -> Iterator[Sequence[str]]:
    """A row for each lexicon, and one for all together, beneath a row of headings."""
    told = [*report.lexicons, *([report.together] if len(report.lexicons) > 1 else [])]
    measured = {
        "accuracy": [each.accuracy for each in told],
        "accuracy on texts": [each.text_accuracy for each in told],
    }
    shown = {name: found for name, found in measured.items() if any(found)}
    yield ("lexicon", "coverage", "labelled", *report.together.labels, *shown)
    for number, each in enumerate(told):
        yield (*_counts(each), *(_accuracy(found[number]) for found in shown.values()))


def report_lines(report: LabellingReport, labelled: Path) -> Iterator[str]:
    """How lexicons agree, and what was written."""
    for pair in report.pairs:
        if pair.agreement is None:
            yield f"{pair.one} and {pair.other} label no text both"
            continue
        kappa = "–" if pair.kappa is None else f"{pair.kappa:.3f}"
        yield (
            f"{pair.one} and {pair.other}: agreement {pair.agreement:.3f} on the {pair.texts:,} "
            f"texts that both label, kappa {kappa}"
        )
    for half, written in report.halves.items():
        counts = ", ".join(f"{name} {count:,}" for name, count in written.labels.items())
        yield (
            f"{half:<6} {written.rows:>7,} rows with labels of {written.labels_by}: {counts}; "
            f"{written.left_out:,} without a label are left out"
        )
    if report.halves["test"].labels_by == "lexicons":
        yield "figures on this test half will be agreement with lexicons, not accuracy"
    yield f"corpus in {labelled}"


def _lexicon(name: str) -> Lexicon:
    return shipped() if name == SHIPPED else read(Path(name))


def _counts(figures: LexiconFigures) -> Sequence[str]:
    labelled = f"{figures.labelled:,} of {figures.texts:,}"
    labels = (f"{count:,}" for count in figures.labels.values())
    return (figures.name, f"{figures.coverage:.3f}", labelled, *labels)


def _accuracy(found: Accuracy | None) -> str:
    if found is None:
        return "–"
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f}) of {found.rows:,}"
