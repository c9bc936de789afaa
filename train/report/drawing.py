"""A drawn figure to an SVG that stands within a page: its colours, its font, its title.

Colours are drawn as stand-ins, which become the page's own, light or dark. Text stays text.
"""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from xml.sax.saxutils import escape

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#010101"
FAINT: Final = "#020202"
ONE: Final = "#030303"
TWO: Final = "#040404"
_PAGE: Final = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    ONE: "var(--one)",
    TWO: "var(--two)",
}
_SIZE_PT: Final = 11
_SETTINGS: Final[dict[Any, object]] = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": False,
    "font.size": _SIZE_PT,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    # Names within the file that come from its content, so that equal figures give equal files.
    "svg.hashsalt": "tuwen",
    "text.color": INK,
    # A dollar sign is one.
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}
_POINTS_PER_INCH: Final = 72
_BELOW: Final = 40
_ABOVE: Final = 8
_RIGHT: Final = 12
_METADATA: Final = ("Creator", "Date", "Format", "Type")


@contextmanager
def figure(width: float, height: float, left: float) -> Iterator[tuple[Figure, Axes]]:
    """A figure of that many points, with one pair of axes, to be given to `svg`. `left` of the
    axes is room for names, or for numbers and what they are.
    """
    with mpl.rc_context(_SETTINGS), warnings.catch_warnings():
        # The reader's browser has the font for Chinese; here widths alone are reckoned.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        size = (width / _POINTS_PER_INCH, height / _POINTS_PER_INCH)
        drawn = Figure(size, dpi=_POINTS_PER_INCH)
        # A layout that finds its own margins would draw everything twice.
        drawn.subplots_adjust(
            left / width, _BELOW / height, 1 - _RIGHT / width, 1 - _ABOVE / height
        )
        axes = drawn.add_subplot()
        axes.tick_params(length=3, pad=3)
        yield drawn, axes


def svg(drawn: Figure, name: str, title: str) -> str:
    """The element `<svg>`. `name` keeps its ids apart from those of other figures of the page."""
    file = io.StringIO()
    drawn.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(_METADATA))
    content = file.getvalue()
    content = re.sub(r"^.*?<svg ", "<svg ", content, count=1, flags=re.DOTALL)
    content = re.sub(r"<metadata>.*?</metadata>", "", content, count=1, flags=re.DOTALL)
    content = re.sub(r"<!--.*?-->\n?", "", content, flags=re.DOTALL)
    # The page has fonts, and a style, of its own.
    content = re.sub(r"\s*font-family: [^;\"]*;", "", content)
    content = re.sub(r"<style.*?</style>", "", content, count=1, flags=re.DOTALL)
    content = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", content)
    for stand_in, colour in _PAGE.items():
        content = content.replace(stand_in, colour)
    return _entitled(content, title)


def _entitled(content: str, title: str) -> str:
    """Without a size of its own, so that it takes its place's; with a name for who cannot see."""
    opening, rest = content.split(">", 1)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    return f'{opening} role="img"><title>{escape(title)}</title>{rest}'
