"""Turn trained models into an ONNX bundle, proven equal."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer

from schemas.manifest import Manifest
from train.label_origin import origin_line
from tuwen.application import application
from tuwen.bundles import parity_lines
from tuwen.failures import Refused
from tuwen.own_strategies import of_export
from tuwen.screen import drawn, err, out

if TYPE_CHECKING:
    from train.brought.bringing import BringSettings

app = application()

HELD_OUT = Annotated[
    Path | None,
    typer.Option(help="A corpus that your models were not fitted on: fusion learns from it."),
]
TOKENIZER = Annotated[
    Literal["jieba"] | None, typer.Option(help="What cut the words of the pipeline.")
]
CNN_LABELS = Annotated[
    str | None, typer.Option(metavar="A,B,…", help="The labels of the CNN's columns.")
]
CNN_OUTPUT = Annotated[
    Literal["sigmoid", "softmax", "logits"] | None,
    typer.Option(help="What the CNN ends in; compared with what the file says."),
]
CNN_SCALE = Annotated[
    Literal["0-255", "0-1", "-1..1"] | None,
    typer.Option(help="The range of pixels that the CNN was fed."),
]
CNN_COLOURS = Annotated[Literal["rgb", "bgr"], typer.Option(help="Their order; OpenCV's is bgr.")]
CNN_EMBEDDING = Annotated[
    str | None, typer.Option(metavar="LAYER", help="Let fusion see this layer's vector too.")
]
TEXT_PIPELINE = Annotated[
    str | None,
    typer.Option(help="A scikit-learn pipeline of your own: pipeline.skops, module:function."),
]
STRATEGY = Annotated[
    list[str] | None,
    typer.Option(help="Of fusion: of MODELS another than the chosen; of your own the ones to try."),
]
CORPUS = Annotated[Path | None, typer.Option(help="Where the corpus is now, if it was moved.")]
OWN_STRATEGY = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.py", help="The graph of a strategy of your own, for MODELS."),
]


@app.command(
    epilog="Example:  tuwen export models --out bundle\n\n"
    "Or your own:  tuwen export --cnn model.keras --text-pipeline pipeline.skops "
    "--held-out-corpus corpus --out bundle"
)
def export(
    models: Annotated[
        Path | None, typer.Argument(metavar="MODELS", help="As `tuwen train` wrote it.")
    ] = None,
    *,
    bundle: Annotated[Path, typer.Option("--out", metavar="BUNDLE", help="A new folder.")],
    corpus: CORPUS = None,
    cnn: Annotated[Path | None, typer.Option(help="A Keras CNN of your own, model.keras.")] = None,
    text_pipeline: TEXT_PIPELINE = None,
    held_out_corpus: HELD_OUT = None,
    tokenizer: TOKENIZER = None,
    cnn_labels: CNN_LABELS = None,
    cnn_output: CNN_OUTPUT = None,
    cnn_scale: CNN_SCALE = None,
    cnn_colours: CNN_COLOURS = "rgb",
    cnn_embedding: CNN_EMBEDDING = None,
    strategy: STRATEGY = None,
    own_strategy: OWN_STRATEGY = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Export; the bundle is written only when it gives what was trained, stage by stage.

    Models are those of `tuwen train`, or your own by --cnn, --text-pipeline or both.

    Needs the extra: pip install 'tuwen[train]'.
    """
    if (models is None) == (cnn is None and text_pipeline is None):
        raise Refused("name either MODELS, or models of your own by --cnn and --text-pipeline")
    lines: Sequence[str] = ()
    if models is not None:
        _refuse_any(
            "is for models of your own: MODELS say it themselves",
            {
                "--held-out-corpus": held_out_corpus,
                "--tokenizer": tokenizer,
                "--cnn-labels": cnn_labels,
                "--cnn-output": cnn_output,
                "--cnn-scale": cnn_scale,
                "--cnn-embedding": cnn_embedding,
            },
        )
        manifest = _of_training(models, bundle, corpus, strategy or (), own_strategy or ())
    else:
        _refuse_any(
            "is for MODELS; models of your own take tuwen's strategies, and a corpus that they "
            "were not fitted on by --held-out-corpus",
            {"--own-strategy": own_strategy, "--corpus": corpus},
        )
        from train.brought.bringing import BringSettings
        from train.brought.cnn import CnnOptions

        labels = None if cnn_labels is None else tuple(cnn_labels.split(","))
        options = CnnOptions(labels, cnn_output, cnn_scale, cnn_colours, cnn_embedding)
        named = tuple(strategy or ("all",))
        settings = BringSettings(cnn, text_pipeline, tokenizer, options, named)
        manifest, lines = _of_owner(settings, held_out_corpus, bundle)
    if as_json:
        typer.echo(msgspec.json.encode(manifest))
    else:
        _show(manifest, lines, bundle)


def _show(manifest: Manifest, lines: Sequence[str], bundle: Path) -> None:
    """The gate's figures, the owner's lines, where labels come from, and the bundle."""
    for line in (*parity_lines(manifest.parity), *lines):
        out().print(line, markup=False)
    if manifest.labels_from is not None:
        out().print(origin_line(manifest.labels_from), markup=False)
    out().print(f"{manifest.name} {manifest.version} in {bundle}", markup=False)


def _refuse_any(why: str, flags: Mapping[str, object]) -> None:
    """Raise Refused for the first flag that was given."""
    for flag, told in flags.items():
        if told is not None:
            raise Refused(f"{flag} {why}")


def _of_training(
    models: Path,
    bundle: Path,
    corpus: Path | None,
    strategies: Sequence[str],
    own_strategies: Sequence[Path],
) -> Manifest:
    if len(strategies) > 1:
        raise Refused("a bundle of MODELS has one strategy: give --strategy once")
    from export.bundle import export as export_bundle

    own = of_export(own_strategies)
    name = next(iter(strategies), None)
    with drawn(err()) as progress:
        return export_bundle(models, bundle, progress, corpus, name, own)


def _of_owner(
    settings: "BringSettings", corpus: Path | None, bundle: Path
) -> tuple[Manifest, Sequence[str]]:
    """The bundle of brought models, and how far it agrees with their owner's own predict."""
    from export.bundle import export as export_bundle
    from train.brought.bringing import bring
    from tuwen.agreement import agreement_line, agreements

    with tempfile.TemporaryDirectory(prefix="tuwen-brought-") as folder, drawn(err()) as progress:
        models = Path(folder)
        summary = bring(settings, corpus, models, progress)
        manifest = export_bundle(models, bundle, progress)
        lines = [agreement_line(each) for each in agreements(models, bundle, summary)]
    if summary.brought.text is not None and summary.brought.text.cost is not None:
        lines.append(summary.brought.text.cost)
    if not summary.calibrated:
        lines.append(
            "uncalibrated: without --held-out-corpus the modalities are averaged as they are"
        )
    return manifest, lines
