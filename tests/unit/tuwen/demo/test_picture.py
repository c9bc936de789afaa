import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.text import Text

from tuwen.demo.picture import CELL, draw


def test_a_chinese_character_takes_two_cells(tmp_path: Path) -> None:
    """Else the text is squeezed to half its width, and cannot be read."""
    draw(tmp_path / "docs" / "demo.svg", "demo", [Text("今天abc")])

    drawn = (tmp_path / "docs" / "demo.svg").read_text(encoding="utf-8")
    found = re.search(r'textLength="([\d.]+)"[^>]*>今天abc<', drawn)
    assert found is not None
    assert float(found[1]) == pytest.approx(7 * CELL)


def test_the_picture_asks_nothing_of_the_network(tmp_path: Path) -> None:
    """It is shown in a README, where no font is fetched, and by whoever is offline."""
    path = tmp_path / "demo.svg"
    draw(path, "demo", [Text("今天", "bold green")])

    root = ET.parse(path).getroot()
    assert root.tag.endswith("svg")
    drawn = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in drawn
    assert "@font-face" not in drawn
