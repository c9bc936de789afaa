import importlib
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=lambda path: path.as_posix()
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
DEFINED = re.compile(r"^\| \*\*[^|]*\|[^|]*\| `([^`]*)` \|$", re.MULTILINE)
TERM = re.compile(r"^\| \*\*([^|*]*)\*\*", re.MULTILINE)


def names() -> list[str]:
    """What the glossary says the code has."""
    return DEFINED.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links to them are written."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    """To a file that is there, and a heading that it has."""
    for target, anchor in LINK.findall(document.read_text(encoding="utf-8")):
        file = document.parent / unquote(target) if target else document
        assert file.exists(), target
        assert not anchor or unquote(anchor) in anchors(file), anchor


@pytest.mark.parametrize("name", names())
def test_the_code_has_what_the_glossary_names(name: str) -> None:
    """A word that was renamed in code is renamed in the glossary."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            fields = getattr(found, "__annotations__", {})
            assert hasattr(found, part) or part in fields, name
            found = getattr(found, part, None)
        return
    pytest.fail(f"no module of {name}")


def test_the_glossary_defines_each_word_once() -> None:
    """One word, one meaning."""
    terms = TERM.findall((ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"))
    assert len(terms) > 30
    assert len(set(terms)) == len(terms) == len(names())


def test_decisions_are_numbered_without_a_gap() -> None:
    """So that a decision can be cited by its number."""
    numbers = [path.name[:4] for path in sorted((ROOT / "docs" / "decisions").glob("0*.md"))]
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
