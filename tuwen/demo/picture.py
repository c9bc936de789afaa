"""Draw what was on the screen as an SVG file, for the README."""

import html
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.terminal_theme import MONOKAI

COLUMNS: Final = 100
CELL: Final = 12.2
"""rich's SVG has cells of 20 × 0.61."""

# As rich's own, without fonts from the network: Chinese needs one that the reader has.
FORMAT: Final = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: "DejaVu Sans Mono", Menlo, Consolas, "Noto Sans Mono CJK SC", "Noto Sans CJK SC",
    "PingFang SC", "Microsoft YaHei", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

TEXT: Final = re.compile(r'textLength="[\d.]+"([^>]*)>([^<]*)</text>')


def draw(path: Path, title: str, shown: Sequence[RenderableType]) -> None:
    """Write `shown`, one below the other, as the picture of a terminal."""
    console = Console(
        record=True,
        width=COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    for each in shown:
        console.print(each)
    drawn = console.export_svg(
        title=title, theme=MONOKAI, code_format=FORMAT, unique_id="tuwen-demo"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT.sub(_measured, drawn), encoding="utf-8")


def _measured(found: re.Match[str]) -> str:
    """Give a text the length of its cells: rich counts characters, and a Chinese one takes two."""
    cells = cell_len(html.unescape(found[2]))
    return f'textLength="{cells * CELL:g}"{found[1]}>{found[2]}</text>'
