"""Classify one post, or a file of them, without Kafka."""

import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from inference.explaining import Why
from schemas.post import Post
from schemas.progress import silent
from schemas.verdict import Verdict
from tuwen.application import application
from tuwen.classification import (
    ExplainedVerdict,
    ExplainingStages,
    Stages,
    classify_and_explain,
    rooted,
)
from tuwen.classification import classify as classify_post
from tuwen.classifying import Counts, Rejected
from tuwen.failures import Failed, Refused
from tuwen.live.view import colour
from tuwen.options import with_settings
from tuwen.posts_file import Places, check_places, classify_file
from tuwen.screen import drawn, err, out
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
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="Posts, one JSON line each; - is stdin.")
    ] = None,
    *,
    text: Annotated[str | None, typer.Option(help="The post's text.")] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="REF", help="A path here, or a file: or data: reference."),
    ] = None,
    post_id: Annotated[str, typer.Option("--id", help="The post's id.")] = "post",
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdict as JSON.")] = False,
    why: Annotated[
        bool, typer.Option("--why", help="Tell the words and places that weighed most.")
    ] = False,
    verdicts: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="For FILE's verdicts. [stdout]")
    ] = None,
    rejects: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="For what has no verdict, as JSON lines. [stderr]"),
    ] = None,
    settings: WorkerSettings,
) -> None:
    """Classify one post as a worker would, or a file of them, without Kafka.

    Of a file each verdict is a line of JSON, as on the topic of verdicts; its source is the file's
    name and the line. A line that holds no post costs that line alone. With --why a verdict has a
    field more, `why`, and costs many times as much.
    """
    one = text is not None or image is not None
    if file is not None:
        if one:
            raise Refused("give FILE, or --text and --image: not both")
        check_places(Places(file, verdicts, rejects))
        stages = (ExplainingStages if why else Stages)(settings.bundle, settings)
        _classify_file(Places(file, verdicts, rejects), stages, settings)
        return
    if not one or verdicts or rejects:
        raise Refused("give --text, --image, or both, or FILE: see `tuwen classify --help`")
    reference, settings = rooted(image, settings)
    asked = classify_and_explain if why else classify_post
    verdict = asked(settings.bundle, Post(post_id, text, reference), settings)
    if as_json:
        typer.echo(msgspec.json.encode(verdict))
        return
    _show(verdict)
    if isinstance(verdict, ExplainedVerdict):
        for line in why_lines(verdict.why):
            out().print(line, markup=False)


def _classify_file(places: Places, stages: Stages, settings: WorkerSettings) -> None:
    """Classify, then say what became of the posts."""
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    # Bars would be drawn between verdicts that go to a terminal.
    shown = nullcontext(silent) if places.verdicts is None and out().is_terminal else drawn(err())
    with shown as progress:
        counts = classify_file(stages, places, settings, _tell, progress)
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    err().print(_sum(counts, seconds, cpu_s), markup=False)
    if counts.rejected and counts.rejected.total() == counts.posts:
        raise Failed(f"not one line of {places.posts} could be classified: see the reasons above")


def _tell(one: Rejected) -> None:
    where = f"{one.source.topic}:{one.source.offset}"
    err().print(f"{where}: {one.reason}: {one.detail}", markup=False)


def _sum(counts: Counts, seconds: float, cpu_s: float) -> str:
    posts = max(1, counts.posts)
    return (
        f"{counts.posts:,} posts in {seconds:.1f} s ({1e6 * cpu_s / posts:,.0f} µs of CPU each): "
        + "; ".join(counts.words())
    )


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


def why_lines(why: Why) -> Iterator[str]:
    """What the score owes to each word, then to each place of the picture as it lies there."""
    yield f"why {why.label}: its score of {why.score:.3f} is lower by so much without"
    for each in why.words:
        yield f"  {each.effect:+.3f}  {each.word}"
    if why.words_unasked:
        yield f"  {why.words_unasked:,} more words of the text were not left out"
    if why.places:
        yield "  and without each place of the picture"
    for row in why.places:
        yield "  " + "  ".join(f"{effect:+.3f}" for effect in row)
