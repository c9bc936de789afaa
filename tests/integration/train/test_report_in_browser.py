"""The report in a real browser, as wide as a telephone and as a desk."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from schemas.progress import silent
from tests.services import missing_service
from tests.unit.train.report.trained import write_trained
from train.report.page import Language
from train.report.writing import write_report

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTHS = (400, 1400)
# Two windows of the page; what they measure becomes the text of the page around them.
WINDOWS = """<!DOCTYPE html><body>
<iframe src="report.html" style="width: 400px; height: 900px; border: 0"></iframe>
<iframe src="report.html" style="width: 1400px; height: 900px; border: 0"></iframe>
<script>
const within = (inner, outer) => inner.left >= outer.left - 2 && inner.right <= outer.right + 2;
const rect = element => element.getBoundingClientRect();
const measured = frame => {
  const page = frame.contentDocument, root = page.documentElement;
  const all = name => [...page.querySelectorAll(name)];
  all("details").forEach(each => { each.open = true; });
  return {
    width: frame.clientWidth,
    sideways: root.scrollWidth - root.clientWidth,
    height: root.scrollHeight,
    font: getComputedStyle(page.body).fontFamily,
    plots: all("svg").map(each => Math.round(rect(each).width)),
    cut: all("svg text").filter(each => !within(rect(each), rect(each.closest("svg"))))
      .map(each => each.textContent),
    outside: all("p, h1, h2, h3, dd, figure, article, .scroll, caption")
      .filter(each => !within(rect(each), rect(root))).map(each => each.textContent.slice(0, 60)),
    pictures: all("img").map(each => each.naturalWidth),
  };
};
onload = () => {
  const frames = [...document.querySelectorAll("iframe")];
  document.body.textContent = JSON.stringify(frames.map(measured));
};
</script>
"""


@pytest.fixture(scope="module")
def browser() -> str:
    """A Chromium of this machine."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    return found or missing_service("chromium", "apt-get install chromium fonts-noto-cjk")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_fits_a_telephone_and_a_desk(
    browser: str, language: Language, tmp_path: Path
) -> None:
    """Nothing scrolls sideways but tables within themselves, no plot cuts its words, and every
    picture is drawn.
    """
    trained = write_trained(tmp_path)
    report = write_report(
        trained.models, tmp_path / "report.html", silent, None, [trained.bundle], language
    )
    (tmp_path / "windows.html").write_text(WINDOWS, encoding="utf-8")
    windows = _measured(browser, tmp_path)
    assert [window["width"] for window in windows] == list(WIDTHS)
    for window in windows:
        assert (window["sideways"], window["outside"], window["cut"]) == (0, [], [])
        assert "Noto Sans CJK SC" in window["font"]
        assert len(window["plots"]) == 8
        assert all(200 < width <= 400 for width in window["plots"])
        pictures = len(report.wrong) - 1 + len(report.suspects.shown)
        assert window["pictures"] == [96] * pictures
    assert windows[0]["height"] > windows[1]["height"] > 2000


def _measured(browser: str, folder: Path) -> list[dict[str, Any]]:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += ["--allow-file-access-from-files", "--virtual-time-budget=5000"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    address = (folder / "windows.html").as_uri()
    ran = subprocess.run(
        [browser, *flags, address], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r"<body[^>]*>(.*)</body>", ran.stdout, re.DOTALL)
    assert found is not None, ran.stderr[-500:]
    windows: list[dict[str, Any]] = json.loads(unescape(found[1]))
    return windows
