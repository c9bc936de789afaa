"""Report on trained models, as one page of figures."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from tuwen.application import application
from tuwen.screen import drawn, err, out

app = application()


@app.command(epilog="Example:  tuwen report models --bundle bundle --out report.html")
def report(
    models: Annotated[Path, typer.Argument(metavar="MODELS", help="As `tuwen train` wrote it.")],
    *,
    bundle: Annotated[
        list[Path] | None,
        typer.Option(help="Adds parity, size and µs per post; one for each strategy at most."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--out", help="The page; its figures go beside it. [default: in MODELS]"),
    ] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Where the corpus is now, if it was moved.")
    ] = None,
    language: Annotated[Literal["en", "zh"], typer.Option(help="Of the page's own words.")] = "en",
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Write report.html, which needs nothing but a browser, and report.json with the same figures.

    Needs the extra: pip install 'tuwen[train]'.
    """
    import msgspec

    from train.report.writing import REPORT_FILE, write_report

    target = page or models / REPORT_FILE
    with drawn(err()) as progress:
        found = write_report(models, target, progress, corpus, tuple(bundle or ()), language)
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    out().print(f"report in {target}, its figures in {target.with_suffix('.json')}", markup=False)
