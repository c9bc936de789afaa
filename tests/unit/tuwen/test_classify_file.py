import io
import json
import sys
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from schemas.verdict import Verdict
from tests.tiny_bundle import write_tiny_bundle
from tuwen.command import run

POSTS = """\
{"id": "a", "text": "很好"}
{"id": "b", "text": "坏", "image": "file:bright.png"}
这不是帖子

{"id": "c", "image": "file:nowhere.png"}
{"id": "d", "text": "坏", "image": "file:nowhere.png"}
"""


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle, posts and a bright picture in the folder that is worked in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUWEN_TEST_DATA", raising=False)
    write_tiny_bundle(tmp_path / "bundle")
    Image.new("RGB", (8, 8), (255, 255, 255)).save("bright.png")
    Path("posts.jsonl").write_text(POSTS, encoding="utf-8")


def verdicts(lines: bytes | str) -> list[Verdict]:
    """Each line as the contract wants it."""
    return [msgspec.json.decode(line, type=Verdict) for line in lines.splitlines()]


def test_each_post_has_its_verdict_and_a_bad_line_costs_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the order of the file, under the number of the line; what has none is told with why."""
    assert run(["classify", "posts.jsonl", "--image-root", "."]) == 0

    shown = capsys.readouterr()
    found = verdicts(shown.out)
    assert [(each.id, each.label, each.source.offset) for each in found] == [
        ("a", "积极", 1),
        ("b", "积极", 2),
        ("d", "消极", 6),
    ]
    assert found[1].used == ("text", "image")
    assert found[2].missing == "image-not-found"
    assert found[0].source.topic == "posts.jsonl"
    assert "posts.jsonl:3: malformed-json" in shown.err
    assert "posts.jsonl:5: image-not-found" in shown.err
    assert "3 labelled; 2 rejected (malformed-json 1, image-not-found 1)" in shown.err
    assert "2 from one modality alone (no-image 1, image-not-found 1)" in shown.err


def test_a_file_and_a_single_post_get_the_same_scores(capsys: pytest.CaptureFixture[str]) -> None:
    """One code runs both."""
    run(["classify", "posts.jsonl", "--image-root", "."])
    many = verdicts(capsys.readouterr().out)[1]
    run(["classify", "--text", "坏", "--image", "bright.png", "--json"])
    [one] = verdicts(capsys.readouterr().out)

    assert one.scores == pytest.approx(many.scores, abs=1e-6)


def test_verdicts_and_rejects_go_where_they_are_told_to() -> None:
    """Rejects too are lines of JSON, with the source that their verdicts would have had."""
    named = ["--out", "verdicts.jsonl", "--rejects", "rejects.jsonl"]
    assert run(["classify", "posts.jsonl", "--abstain-below", "1", *named]) == 0

    found = verdicts(Path("verdicts.jsonl").read_bytes())
    assert [each.label for each in found] == [None, None, None]
    rejects = [json.loads(line) for line in Path("rejects.jsonl").read_bytes().splitlines()]
    assert [each["reason"] for each in rejects] == ["malformed-json", "image-scheme-off"]
    assert rejects[0]["source"] == {"topic": "posts.jsonl", "partition": 0, "offset": 3}


def test_posts_are_read_from_stdin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the source is then -."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(POSTS.encode())))
    assert run(["classify", "-", "--image-root", "."]) == 0

    shown = capsys.readouterr()
    assert {each.source.topic for each in verdicts(shown.out)} == {"-"}
    assert "5 posts in" in shown.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["posts.jsonl", "--text", "好"], 2, "not both"),
        (["--text", "好", "--out", "x"], 2, "give --text, --image, or both, or FILE"),
        (["posts.jsonl", "--out", "./posts.jsonl"], 2, "must be different files"),
        (["posts.jsonl", "--rejects", "posts.jsonl"], 2, "must be different files"),
        (["posts.jsonl", "--out", "x", "--rejects", "x"], 2, "must be different files"),
        (["nowhere.jsonl"], 1, "there is no nowhere.jsonl"),
        (["bundle/manifest.json"], 1, "not one line of bundle/manifest.json"),
        (["posts.jsonl", "--bundle", "nowhere"], 1, "nowhere/manifest.json"),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_the_posts(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, words: str
) -> None:
    """Above all a file is not written over while it is read."""
    assert run(["classify", *arguments]) == code

    assert words in capsys.readouterr().err
    assert Path("posts.jsonl").read_text(encoding="utf-8") == POSTS


def test_a_file_that_cannot_be_read_leaves_the_verdicts_of_before() -> None:
    """What is written over is so only when there is something to write."""
    Path("verdicts.jsonl").write_text("before")
    assert run(["classify", "nowhere.jsonl", "--out", "verdicts.jsonl"]) == 1

    assert Path("verdicts.jsonl").read_text() == "before"


def test_an_empty_file_has_no_verdict_and_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in, nothing out."""
    Path("posts.jsonl").write_bytes(b"")
    assert run(["classify", "posts.jsonl"]) == 0
    assert capsys.readouterr().out == ""


def test_why_is_a_field_more_of_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything else stays as it is, rejects too."""
    run(["classify", "posts.jsonl", "--image-root", "."])
    plain = capsys.readouterr()
    assert run(["classify", "posts.jsonl", "--image-root", ".", "--why"]) == 0

    shown = capsys.readouterr()
    assert verdicts(shown.out) == verdicts(plain.out)
    whys = [json.loads(line)["why"] for line in shown.out.splitlines()]
    assert [each["words"][0]["word"] for each in whys] == ["好", "坏", "坏"]
    assert [bool(each["places"]) for each in whys] == [False, True, False]
    assert "posts.jsonl:3: malformed-json" in shown.err
