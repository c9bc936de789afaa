"""Put the figures of an evaluation into words."""

from collections.abc import Iterator, Sequence
from typing import Final

from inference.judging import Accuracy
from schemas.verdict import ModelName
from tuwen.evaluation import BundleFigures, Comparison

ACCURACY: Final = "accuracy"
"""What is right is called so; against labels of lexicons it is agreement."""


def figure_lines(figures: BundleFigures, name: str = ACCURACY) -> Iterator[str]:
    """How right a bundle is, by what, and at what cost; `name` is what that is called here."""
    yield f"{_named(figures.model)}, {figures.model.strategy}: {figures.rows:,} rows"
    yield f"{name:<18} {_accuracy(figures.accuracy)}"
    for presence, part in figures.by_presence.items():
        yield (
            f"  {presence:<16} {_accuracy(part.accuracy)}, "
            f"calibration error {part.calibration_error:.3f}"
        )
    yield f"{'macro-F1':<18} {figures.macro_f1:.3f}"
    yield f"{'calibration error':<18} {figures.calibration_error:.3f} (15 bins)"
    yield from _counts(figures)
    yield (
        f"{'cost':<18} {figures.cpu_us_per_post:,.0f} µs of CPU a post, "
        f"{figures.seconds_per_post:.6f} s"
    )


def comparison_lines(
    comparison: Comparison, truth_rows: int, name: str = ACCURACY
) -> Iterator[str]:
    """Which of two bundles is better, if that can be said, and where they differ."""
    found = comparison.accuracy
    yield verdict_on(comparison, name)
    yield (
        f"{'difference':<18} {found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f}) "
        f"of {found.rows:,} rows; McNemar's p {found.p_value:.2g}"
    )
    if comparison.left_out:
        yield (
            f"{'left out':<18} {comparison.left_out:,} of {truth_rows:,} rows "
            "that not both of them labelled"
        )
    more = f", the first {len(comparison.shown)}" * (len(comparison.shown) < comparison.flips)
    yield f"{'labelled otherwise':<18} {comparison.flips:,} rows{more}"
    for flip in comparison.shown:
        yield f"  {flip.id}  is {flip.truth}: {flip.one}, and {flip.other} by the other"


def verdict_on(comparison: Comparison, name: str = ACCURACY) -> str:
    """One sentence: better, worse, or no telling. Agreement makes none the better one."""
    one, other = _named(comparison.one), _named(comparison.other)
    found = comparison.accuracy
    if not comparison.significant:
        return f"{one} and {other} cannot be told apart on these rows"
    better, worse = (one, other) if found.value > 0 else (other, one)
    if name != ACCURACY:
        return (
            f"{better} agrees with the lexicons on {abs(found.value):.3f} more of the rows than "
            f"{worse}, which does not make it better: that takes labels of people"
        )
    return f"{better} is better than {worse}: {abs(found.value):.3f} more of the rows are right"


def label_rows(figures: BundleFigures) -> Iterator[Sequence[str]]:
    """How well each label is found, beneath a row of headings."""
    yield ("label", "rows", "precision", "recall", "F1")
    for each in figures.labels:
        precision, recall = _share(each.precision), _share(each.recall)
        yield (each.label, f"{each.rows:,}", precision, recall, f"{each.f1:.3f}")


def confusion_rows(figures: BundleFigures) -> Iterator[Sequence[str]]:
    """What posts are by row, what they were called by column, beneath a row of headings."""
    yield ("is / called", *(each.label for each in figures.labels))
    for each, called in zip(figures.labels, figures.confusion, strict=True):
        yield (each.label, *(f"{count:,}" for count in called))


def _counts(figures: BundleFigures) -> Iterator[str]:
    if figures.abstained:
        coverage = figures.labelled / (figures.labelled + figures.abstained)
        yield (
            f"{'without a label':<18} {figures.abstained:,} of {figures.rows:,} rows; "
            f"coverage {coverage:.3f}, and the figures are of those with one"
        )
    for name, counts in (("rejected", figures.rejected), ("one modality", figures.missing)):
        for reason, count in sorted(counts.items()):
            yield f"{name:<18} {count:,} {reason}"


def _named(model: ModelName) -> str:
    return f"{model.name} {model.version}"


def _accuracy(found: Accuracy) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f}) of {found.rows:,}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.3f}"
