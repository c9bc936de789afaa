"""Figures of the report to plots, each an `<svg>`; labels and texts never enter them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from inference.judging import Accuracy
from train.report.contents import Bin, Epoch, StrategyFigures
from train.report.drawing import FAINT, INK, ONE, TWO, figure, svg

Words = Mapping[str, Any]

_WIDTH: Final = 340
_ROW: Final = 26
_BESIDES: Final = 48
_NUMBERS: Final = 46
_CHARACTER: Final = 6.6


def comparison(strategies: Sequence[StrategyFigures], words: Words) -> str:
    """Each strategy's accuracy with its interval: by cross-validation, and on the test half."""
    with figure(_WIDTH, _BESIDES + _ROW * len(strategies), _names(strategies)) as (drawn, axes):
        for place, each in enumerate(strategies):
            found = each.compared
            if found is not None:
                cross = Accuracy(found.rows, 0, found.accuracy, found.low, found.high)
                _whisker(axes, place - 0.16, cross, ONE, "o")
            _whisker(axes, place + 0.16, each.uses["fused"].accuracy, TWO, "s")
        _name_rows(axes, [each.strategy for each in strategies])
        axes.set_xlabel(words["accuracy"])
        return svg(drawn, "comparison", words["plot_comparison"])


def reliability(bins: Sequence[Bin], name: str, title: str, words: Words) -> str:
    """How often right, by how confident; below, how many posts there are of each confidence."""
    with figure(_WIDTH, 240, _NUMBERS) as (drawn, axes):
        filled = [(each, each.confidence, each.accuracy) for each in bins if each.rows]
        most = max(each.rows for each, _, _ in filled)
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        for each, confidence, accuracy in filled:
            height = 0.25 * each.rows / most
            axes.bar(each.low, height, each.high - each.low, align="edge", color=FAINT, alpha=0.35)
            size = 2 + 7 * (each.rows / most) ** 0.5
            assert confidence is not None, "a bin with rows has a mean"
            assert accuracy is not None, "a bin with rows has a mean"
            axes.plot(confidence, accuracy, color=ONE, marker="o", markersize=size)
        _, *line = zip(*filled, strict=True)
        axes.plot(*line, color=ONE, linewidth=1)
        axes.set(xlim=(filled[0][0].low, 1), ylim=(0, 1.02))
        axes.set_xlabel(words["confidence"])
        axes.set_ylabel(words["accuracy"])
        return svg(drawn, name, title)


def learning(curve: Sequence[Epoch], words: Words) -> tuple[str, str]:
    """Loss, then accuracy, after each pass."""
    epochs = [each.epoch for each in curve]
    return (
        _line(epochs, [each.loss for each in curve], "loss", words),
        _line(epochs, [each.accuracy for each in curve], "accuracy", words),
    )


def weights(strategies: Sequence[StrategyFigures], words: Words) -> str:
    """The first modality's share, of each strategy that has weights: median, and 90 % of posts."""
    with figure(_WIDTH, _BESIDES + _ROW * len(strategies), _names(strategies)) as (drawn, axes):
        for place, each in enumerate(strategies):
            first = each.weights[0]
            axes.plot([first.low, first.high], [place, place], color=ONE, linewidth=2)
            axes.plot(first.median, place, color=ONE, marker="o", markersize=6)
        _name_rows(axes, [each.strategy for each in strategies])
        axes.axvline(0.5, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_xlim(-0.02, 1.02)
        axes.set_xlabel(words["share_of_text"])
        return svg(drawn, "weights", words["plot_weights"])


def _line(epochs: Sequence[int], values: Sequence[float], name: str, words: Words) -> str:
    with figure(_WIDTH, 190, _NUMBERS) as (drawn, axes):
        axes.plot(epochs, values, color=ONE, marker="o", markersize=3.5, linewidth=1.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axes.set_xlabel(words["epoch"])
        axes.set_ylabel(words[name])
        return svg(drawn, f"learning-{name}", words[f"plot_{name}"])


def _names(strategies: Sequence[StrategyFigures]) -> float:
    """Room for the longest name, in points; half of the plot at most."""
    longest = max(len(each.strategy) for each in strategies)
    return min(_WIDTH / 2, 10 + _CHARACTER * longest)


def _whisker(axes: Axes, place: float, found: Accuracy, colour: str, marker: str) -> None:
    axes.plot([found.low, found.high], [place, place], color=colour, linewidth=1.5)
    axes.plot(found.value, place, color=colour, marker=marker, markersize=5)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """The first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT, alpha=0.3, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", labelcolor=INK)
