import importlib
import json
import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator
from prometheus_client import CollectorRegistry

from schemas import json_schema
from schemas.reasons import Reason
from worker.metrics import Metrics
from worker.settings import WorkerSettings
from worker.supervisor import Supervisor

ROOT = Path(__file__).parents[3]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")], key=lambda path: path.as_posix()
)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
DEFINED = re.compile(r"^\| \*\*[^|]*\|[^|]*\| `([^`]*)` \|$", re.MULTILINE)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TRANSLATED = sorted(ROOT.glob("*.zh.md")) + sorted(ROOT.glob("docs/*.zh.md"))
CONTRACTS = [ROOT / "docs" / "contracts.md", ROOT / "docs" / "contracts.zh.md"]
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


@pytest.mark.parametrize("chinese", TRANSLATED, ids=lambda path: path.name)
def test_both_languages_show_the_same_code_and_the_same_headings(chinese: Path) -> None:
    """What is typed and what is printed does not depend on the reader's language."""
    english = chinese.with_name(chinese.name.replace(".zh.md", ".md"))
    ours, theirs = (path.read_text(encoding="utf-8") for path in (english, chinese))
    assert FENCED.findall(theirs) == FENCED.findall(ours)
    levels = [re.findall(r"^(#+) ", text, re.MULTILINE) for text in (ours, theirs)]
    assert levels[0] == levels[1]
    assert [row.count("|") for row in ours.splitlines() if row.startswith("|")] == [
        row.count("|") for row in theirs.splitlines() if row.startswith("|")
    ]


@pytest.mark.parametrize("document", CONTRACTS, ids=lambda path: path.name)
def test_the_contracts_explain_every_reason(document: Path) -> None:
    """In the order in which the code has them."""
    explained = re.findall(
        r"^\| `([a-z-]+)` \|.*\|.*\|$", document.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [word for word in explained if word in list(Reason)] == list(Reason)


def test_the_contracts_show_a_post_and_a_verdict() -> None:
    """Each as its schema wants it."""
    post, verdict = FENCED.findall(CONTRACTS[0].read_text(encoding="utf-8"))
    Draft202012Validator(json_schema.schema("post")).validate(json.loads(post[1]))
    Draft202012Validator(json_schema.schema("verdict")).validate(json.loads(verdict[1]))


@pytest.mark.parametrize("name", ["operating.md", "operating.zh.md"])
def test_every_metric_is_explained(name: str) -> None:
    """By the name that Prometheus sees."""
    registry = CollectorRegistry()
    Metrics(registry)
    declared = [registry, Supervisor(WorkerSettings(processes=2))._registry]
    shown = {
        metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
        for each in declared
        for metric in each.collect()
        if metric.name.startswith("tuwen_")
    }
    explained = re.findall(
        r"^\| `(tuwen_\w+)` \|", (ROOT / "docs" / name).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert sorted(explained) == sorted(shown)
