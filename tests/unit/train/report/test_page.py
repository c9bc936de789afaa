"""The page as a browser, a screen reader and somebody hostile would find it."""

import re
import string
import tomllib
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.progress import silent
from tests.unit.train.report.trained import BROKEN, HOSTILE, LABELS, WRONG, Trained
from train.errors import SettingError
from train.report.contents import Report
from train.report.page import Language, page, words_of
from train.report.writing import write_report

LANGUAGES: tuple[Language, ...] = ("en", "zh")


class Elements(HTMLParser):
    """The elements of a page by their tags, its text, and the text within titles and captions."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags[tag] += 1
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for _, held in self.attributes if (value := held.get(name)) is not None]


@pytest.fixture(scope="module", params=LANGUAGES)
def written(
    trained: Trained, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Report, str]:
    """The report with a bundle, and its page, in each language."""
    out = tmp_path_factory.mktemp("page") / "report.html"
    report = write_report(
        trained.models, out, silent, bundles=[trained.bundle], language=request.param
    )
    decoded = msgspec.json.decode(out.with_suffix(".json").read_bytes(), type=Report)
    assert decoded == report
    assert {path.name for path in out.parent.iterdir()} == {"report.html", "report.json"}
    return report, out.read_text(encoding="utf-8")


def test_texts_and_labels_are_shown_and_never_run(written: tuple[Report, str]) -> None:
    """A post is a stranger's string; so is a label, and a setting."""
    content = written[1]
    found = Elements(content)
    assert found.tags["script"] == 0
    assert "<script" not in content.lower()
    shown = "".join(found.text)
    assert HOSTILE in shown
    assert LABELS[1] in shown


def test_the_page_asks_for_nothing(written: tuple[Report, str]) -> None:
    """No address in any attribute or style, but for pictures within and the page's own parts."""
    content = written[1]
    found = Elements(content)
    assert not found.tags.keys() & {"link", "iframe", "object", "embed", "form", "base"}
    assert all(value.startswith("data:image/jpeg;base64,") for value in found.values("src"))
    assert all(
        value.startswith("#") for name in ("href", "xlink:href") for value in found.values(name)
    )
    styles = re.findall(r"url\(([^)]*)\)|@import", content)
    assert all(value.startswith("#") for value in styles)
    assert "default-src 'none'" in content


def test_every_part_has_a_name(written: tuple[Report, str]) -> None:
    """Tables captions, plots titles, pictures texts; ids are unique, and links lead to them."""
    found = Elements(written[1])
    assert found.tags["table"] == found.tags["caption"] > 10
    assert found.tags["svg"] == found.tags["title"] - 1 == 8
    assert (found.tags["h1"], found.tags["section"], found.tags["h2"]) == (1, 12, 12)
    assert all(held.get("alt") for tag, held in found.attributes if tag == "img")
    ids = Counter(found.values("id"))
    assert ids.most_common(1)[0][1] == 1
    links = {
        value.removeprefix("#") for name in ("href", "xlink:href") for value in found.values(name)
    }
    assert links <= ids.keys()


def test_a_wrong_post_is_shown_with_what_each_modality_says(written: tuple[Report, str]) -> None:
    """The most confident first; its picture, which cannot be decoded, is said to be missing."""
    report, content = written
    first = report.wrong[0]
    assert (first.id, first.image, first.label) == (WRONG, BROKEN, LABELS[1])
    assert (first.said.label, first.said.score) == (LABELS[0], 0.98)
    assert set(first.alone) == {"text", "image"}
    assert len(report.wrong) == 4
    assert Elements(content).tags["img"] == len(report.wrong) - 1 + len(report.suspects.shown)


def test_the_figures_are_those_of_the_folder(written: tuple[Report, str]) -> None:
    """The chosen strategy first, what it was compared by, what is served, how it learned."""
    report = written[0]
    assert [each.strategy for each in report.strategies] == ["soft-voting", "ensemble"]
    assert report.chosen.uses["fused"].accuracy.rows == 28
    assert report.chosen.as_sent.rows == 30
    assert report.chosen.weights[0].median == 0.7
    assert report.strategies[1].weights == ()
    assert [each.epoch for each in report.learning_curve] == [1, 2]
    assert report.origin.train.labels == dict.fromkeys(LABELS, 40)
    assert (report.origin.test.text_only, report.origin.test.image_only) == (1, 1)
    [served] = report.served
    assert served.speed is not None
    assert served.speed.posts == 27
    said = [{word.word for word in each.words} for each in report.keywords]
    assert "好吃" in said[0]
    assert "好吃" not in said[2]


def test_equal_models_give_equal_pages(trained: Trained, tmp_path: Path) -> None:
    """Nothing of the clock or of chance is in them, as long as no bundle is timed."""
    one, two = tmp_path / "one.html", tmp_path / "two.html"
    for out in (one, two):
        write_report(trained.models, out, silent)
    assert one.read_text("utf-8").replace("one.json", "two.json") == two.read_text("utf-8")
    assert one.with_suffix(".json").read_bytes() == two.with_suffix(".json").read_bytes()


def test_a_strategy_alone_without_weights_and_curve_has_a_page(written: tuple[Report, str]) -> None:
    """What is not there is said to be so, and not drawn."""
    report = written[0]
    alone = msgspec.structs.replace(report.strategies[1], compared=None)
    bare = msgspec.structs.replace(report, strategies=(alone,), learning_curve=(), served=())
    content = page(bare, "en", {}, "report.json")
    words = words_of("en")
    for said in (words["weights"]["none"], words["learning"]["none"], words["served"]["none"]):
        assert said.replace("`", "`") in content
    assert Elements(content).tags["svg"] == 3


def test_a_page_is_named_as_one(trained: Trained, tmp_path: Path) -> None:
    """Else its figures might take its place."""
    with pytest.raises(SettingError, match=r"end in .html"):
        write_report(trained.models, tmp_path / "report.json", silent)
    assert list(tmp_path.iterdir()) == []


def _words(table: dict[str, Any], path: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every word's place with the names that are filled in."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _words(value, f"{path}{name}.")
        else:
            yield (
                f"{path}{name}",
                {field for _, field, _, _ in string.Formatter().parse(value) if field},
            )


def test_both_languages_have_the_same_words() -> None:
    """And the same places to fill in; the page uses every one of them."""
    english, chinese = (dict(_words(words_of(language))) for language in LANGUAGES)
    assert english == chinese
    sources = Path(words_of.__code__.co_filename).parent
    used = "".join(
        file.read_text(encoding="utf-8")
        for file in (sources / "page.html.j2", sources / "page.py", sources / "plots.py")
    )
    written = tomllib.loads((sources / "words.en.toml").read_text(encoding="utf-8"))
    by_variable = {"text", "image", "fused", "loss", "plot_loss", "plot_accuracy", "heading"}
    names = {place.rpartition(".")[2] for place, _ in _words(written)} - by_variable
    assert sorted(name for name in names if not re.search(rf'[."]{name}\b', used)) == []
