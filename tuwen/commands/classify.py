"""Classify one post, without Kafka."""

from typing import Annotated

import msgspec
import typer

from schemas.post import Post
from schemas.verdict import Verdict
from tuwen.application import application
from tuwen.classification import classify as classify_post
from tuwen.classification import rooted
from tuwen.failures import Refused
from tuwen.live.view import colour
from tuwen.options import with_settings
from tuwen.screen import out
from worker.settings import WorkerSettings

app = application()

BAR_CELLS = 30


@app.command(epilog="Example:  tuwen classify --bundle bundle --text 今天真开心 --image face.jpg")
@with_settings(
    "bundle",
    "image_root",
    "image_bytes_max",
    "image_pixels_max",
    "on_image_failure",
    "abstain_below",
)
def classify(
    *,
    text: Annotated[str | None, typer.Option(help="The post's text.")] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="REF", help="A path here, or a file: or data: reference."),
    ] = None,
    post_id: Annotated[str, typer.Option("--id", help="The post's id.")] = "post",
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    settings: WorkerSettings,
) -> None:
    """Classify one post as a worker would, without Kafka."""
    if text is None and image is None:
        raise Refused("give --text, --image, or both: see `tuwen classify --help`")
    reference, settings = rooted(image, settings)
    verdict = classify_post(settings.bundle, Post(post_id, text, reference), settings)
    if as_json:
        typer.echo(msgspec.json.encode(verdict))
    else:
        _show(verdict)


def _show(verdict: Verdict) -> None:
    console = out()
    labels = list(verdict.scores)
    for name, score in verdict.scores.items():
        mark = "→" if name == verdict.label else " "
        bar = "█" * round(score * BAR_CELLS)
        console.print(f"{mark} {name}  {score:.3f}  [{colour(name, labels)}]{bar}[/]")
    if verdict.label is None:
        console.print("no label: no score reached abstain_below")
    missing = f" alone ({verdict.missing})" if verdict.missing else ""
    model = verdict.model
    console.print(
        f"from {' and '.join(verdict.used)}{missing}; by {model.name} {model.version}, "
        f"{model.strategy}",
        markup=False,
    )
