"""Show what a bundle holds, or check it."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from inference.bundle import load
from tuwen.application import group
from tuwen.bundles import manifest_lines
from tuwen.screen import out

app = group(example="tuwen bundle show bundle")

Folder = Annotated[Path, typer.Argument(metavar="BUNDLE", help="As `tuwen export` wrote it.")]


@app.callback()
def _group() -> None:
    """A bundle is what workers serve: graphs, vocabularies, and a manifest that declares all."""


@app.command(epilog="Example:  tuwen bundle show bundle --json | jq .evaluation")
def show(
    bundle: Folder,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Show the manifest of a sound bundle: labels, graphs, accuracy, parity, versions."""
    manifest = load(bundle).manifest
    if as_json:
        typer.echo(msgspec.json.encode(manifest))
        return
    for line in manifest_lines(manifest):
        out().print(line, markup=False)


@app.command(epilog="Example:  tuwen bundle check bundle")
def check(bundle: Folder) -> None:
    """Verify every hash, shape, operator set and the feature version; exit 1 when one is wrong."""
    loaded = load(bundle)
    files = len(loaded.graphs) + len(loaded.vectorisers)
    manifest = loaded.manifest
    out().print(f"{manifest.name} {manifest.version}: {files} files are sound", markup=False)
