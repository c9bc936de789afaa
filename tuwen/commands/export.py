"""Turn trained models into an ONNX bundle, proven equal."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tuwen.application import application
from tuwen.bundles import parity_lines
from tuwen.screen import drawn, err, out

app = application()


@app.command(epilog="Example:  tuwen export models --out bundle")
def export(
    models: Annotated[Path, typer.Argument(metavar="MODELS", help="As `tuwen train` wrote it.")],
    *,
    bundle: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="A new folder.")],
    corpus: Annotated[
        Path | None, typer.Option(help="Where the corpus is now, if it was moved.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Export; the bundle is written only when it gives what was trained, stage by stage.

    Needs the extra: pip install 'tuwen[train]'.
    """
    from export.bundle import export as export_bundle

    with drawn(err()) as progress:
        manifest = export_bundle(models, bundle, progress, corpus)
    if as_json:
        typer.echo(msgspec.json.encode(manifest))
        return
    for line in parity_lines(manifest.parity):
        out().print(line, markup=False)
    out().print(f"{manifest.name} {manifest.version} in {bundle}", markup=False)
