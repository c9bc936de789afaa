"""Figures to one picture: a bar each, what is right in one colour and what is wrong in another."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.case_study.study import Figures

NAMES: Final = {
    "baseline": "the most frequent label, always",
    "text": "text alone",
    "image": "image alone",
    "fused": "both, side by side",
    "vectoriser_by_message": "vectoriser fitted per message",
    "cnn_never_trained": "CNN never trained",
    "cnn_new_when_served": "CNN trained, and made anew to serve",
    "judged_on_own_rows": "judged on the rows it was fitted on",
}
MISTAKES: Final = (
    "vectoriser_by_message",
    "cnn_never_trained",
    "cnn_new_when_served",
    "judged_on_own_rows",
)
_RIGHT: Final = "#2f6f9f"
_WRONG: Final = "#c2572b"
_METADATA: Final = ("Creator", "Date", "Format", "Type")
_SETTINGS: Final[dict[Any, object]] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 11,
    # Names within the file come from its content, so that equal figures give equal files.
    "svg.hashsalt": "tuwen",
}


def draw(figures: Figures, file: Path) -> None:
    """Write an SVG."""
    with mpl.rc_context(_SETTINGS):
        drawn = Figure((8, 3.6), layout="constrained")
        axes = drawn.add_subplot()
        names = list(NAMES)[::-1]
        values = [getattr(figures, name) for name in names]
        colours = [_WRONG if name in MISTAKES else _RIGHT for name in names]
        bars = axes.barh([NAMES[name] for name in names], values, color=colours)
        axes.bar_label(bars, [f"{value:.3f}" for value in values], padding=-38, color="white")
        axes.axvline(figures.fused, color=_RIGHT, linestyle=":", linewidth=1)
        axes.set_xlim(0, 1.08)
        axes.set_xlabel("accuracy (a mistake in red)")
        drawn.savefig(file, format="svg", facecolor="white", metadata=dict.fromkeys(_METADATA))
