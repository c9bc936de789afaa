"""Train text, image and fusion models on a corpus."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import msgspec
import typer

from schemas.manifest import LabelsFrom
from schemas.models import Choice
from train.errors import SettingError
from train.label_origin import figure_name, origin_line
from train.settings import ClassWeight, Cnn, ImageScoring, NamedCnn, Scale, TrainSettings
from tuwen.application import application
from tuwen.own_strategies import of_training
from tuwen.screen import drawn, err, out

if TYPE_CHECKING:
    from train.training import TrainingSummary

app = application()

DEFAULTS = TrainSettings()
STRATEGY = Annotated[
    list[str] | None,
    typer.Option(
        help="Of fusion; of several, or of `all`, one is chosen by cross-validation. [default: all]"
    ),
]
OWN_STRATEGY = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE.py", help="A strategy of your own, besides those there are."),
]
CNN = Annotated[
    str,
    typer.Option(
        metavar="compact|brief|FILE.keras",
        help="compact is better and smaller, brief is one layer; or a model of your own.",
    ),
]
CNN_SCALE = Annotated[
    Scale | None, typer.Option(help="Pixels of your own model, unless it scales for itself.")
]
EPOCHS = Annotated[
    int | None,
    typer.Option(min=1, help="Passes over the images. [default: by the corpus's size]"),
]
IMAGE_SCORING = Annotated[
    ImageScoring | None,
    typer.Option(
        help="held-out: one CNN; out-of-fold: one more for each fold, on all images. "
        "[default: by the corpus's size]"
    ),
]
IMAGE_RATE = Annotated[
    float | None, typer.Option(help="Highest learning rate of the CNN. [default: by the CNN]")
]
CLASS_WEIGHT = Annotated[
    ClassWeight, typer.Option(help="balanced: rare labels count as much as frequent ones.")
]
WORDS = Annotated[
    tuple[int, int], typer.Option(help="Lengths of word n-grams; 0 0 leaves words out.")
]
USER_WORDS = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Words that jieba lacks, in its own form: WORD, or WORD FREQUENCY."
    ),
]
CHARACTERS = Annotated[
    tuple[int, int], typer.Option(help="Lengths of character n-grams; 0 0 leaves them out.")
]


@app.command(epilog="Example:  tuwen train corpus --out models")
def train(
    corpus: Annotated[Path, typer.Argument(metavar="CORPUS", help="As `tuwen corpus check`.")],
    *,
    models: Annotated[Path, typer.Option("--out", metavar="MODELS", help="A new folder.")],
    strategy: STRATEGY = None,
    own_strategy: OWN_STRATEGY = None,
    cnn: CNN = "compact",
    cnn_scale: CNN_SCALE = None,
    epochs: EPOCHS = None,
    image_rate: IMAGE_RATE = DEFAULTS.image_rate,
    image_scoring: IMAGE_SCORING = DEFAULTS.image_scoring,
    folds: Annotated[int, typer.Option(min=2, help="Of out-of-fold.")] = DEFAULTS.folds,
    class_weight: CLASS_WEIGHT = DEFAULTS.class_weight,
    words: WORDS = DEFAULTS.text_words_ngrams,
    user_words: USER_WORDS = None,
    characters: CHARACTERS = DEFAULTS.text_characters_ngrams,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = DEFAULTS.seed,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a CNN on the images, an SVM on the texts, and their fusion; print the accuracy.

    What there is to know of them is in the report, MODELS/report.html.

    Needs the extra: pip install 'tuwen[train]'.
    """
    settings = TrainSettings(
        strategies=tuple(strategy) if strategy else DEFAULTS.strategies,
        cnn=_cnn(cnn, cnn_scale),
        epochs=epochs,
        image_rate=image_rate,
        image_scoring=image_scoring,
        folds=folds,
        class_weight=class_weight,
        text_words_ngrams=words,
        text_characters_ngrams=characters,
        text_user_words=_user_words(user_words),
        seed=seed,
    )
    from train.report.writing import REPORT_FILE, write_report
    from train.training import train as train_models

    own = of_training(own_strategy or ())
    with drawn(err()) as progress:
        summary = train_models(corpus, models, settings, progress, own)
        origin = write_report(models, models / REPORT_FILE, progress, corpus).origin.labels_from
    if as_json:
        name = figure_name(origin, "test")
        figures = {name: summary.accuracy, "macro_f1": summary.macro_f1, "labels_from": origin}
        facts = msgspec.to_builtins(summary) | figures
        typer.echo(msgspec.json.encode(facts))
        return
    for line in summary_lines(summary, models, origin):
        out().print(line, markup=False)


def _cnn(named: str, scale: Scale | None) -> Cnn:
    """One of ours, or what the file of somebody's own holds."""
    if named not in get_args(NamedCnn):
        from train.keras_file import SUFFIXES
        from train.own_cnn import described

        if Path(named).suffix not in SUFFIXES:
            raise SettingError(f"--cnn {named}: compact, brief, or the file of a Keras model")
        return described(Path(named), scale)
    if scale is not None:
        raise SettingError(f"--cnn-scale is for a model of your own, and not for {named}")
    return cast("NamedCnn", named)


def _user_words(file: Path | None) -> tuple[str, ...]:
    if file is None:
        return ()
    from train.user_words import read_user_words

    return read_user_words(file)


def summary_lines(
    summary: "TrainingSummary", models: Path, origin: LabelsFrom | None
) -> Iterator[str]:
    """The choice, the accuracy, and where everything is."""
    yield from choice_lines(summary.choice)
    if origin is not None:
        yield origin_line(origin)
        yield f"by such labels no strategy is chosen: {summary.strategy} was trained alone"
    yield from notes(summary)
    for used, accuracy in summary.accuracy.items():
        f1 = summary.macro_f1[used]
        name = figure_name(origin, "test")
        yield f"{used:<8} {name} {accuracy:.3f}, macro-F1 {f1:.3f} on the test half"
    yield f"models in {models}, in {summary.seconds:.0f} s"
    yield f"report in {models / 'report.html'}"


def notes(summary: "TrainingSummary") -> Iterator[str]:
    """What went otherwise than one might think."""
    if summary.rows_left_out:
        yield (
            f"left out: {summary.rows_left_out} training rows, for their text or image is in the "
            "test half, too, or nothing of them can be read"
        )
    if summary.unreadable_images:
        yield f"{summary.unreadable_images} images cannot be decoded and count as absent"
    if summary.collapsed_runs:
        yield f"{summary.collapsed_runs} runs of the CNN collapsed, and were repeated"
    if not summary.image_learned:
        yield "the CNN found nothing in the images that tells the labels"


def choice_lines(choice: Choice | None) -> Iterator[str]:
    """The table of the strategies, the most accurate first, and which of them was chosen."""
    if choice is None:
        return
    yield "by cross-validation on the training half, with 95 % intervals:"
    for each in sorted(choice.compared, key=lambda compared: -compared.accuracy):
        yield (
            f"  {each.strategy:<18}{each.accuracy:.3f} ({each.low:.3f} to {each.high:.3f}) "
            f"of {each.rows} posts, {each.against_best:+.3f} to the best (p {each.p_value:.2f}), "
            f"{each.multiply_adds} multiplications"
        )
    yield (
        f"chosen: {choice.chosen}, the cheapest of those not significantly worse than {choice.best}"
    )
