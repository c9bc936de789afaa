import json
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_bundle import write_tiny_bundle
from tuwen.command import run


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bundle, a bright picture beside it, and no settings of anybody's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUWEN_TEST_DATA", raising=False)
    write_tiny_bundle(tmp_path / "bundle")
    Image.new("RGB", (8, 8), (255, 255, 255)).save(tmp_path / "bright 1.png")
    return str(tmp_path / "bundle")


def classified(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """The verdict as JSON."""
    assert run(["classify", "--json", *arguments]) == 0
    verdict: dict[str, object] = json.loads(capsys.readouterr().out)
    return verdict


def test_text_and_image_are_classified_together(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A path may have any characters; it is made a reference."""
    found = classified(capsys, "--bundle", bundle, "--text", "很好", "--image", "bright 1.png")

    assert (found["label"], found["used"], found["missing"]) == ("积极", ["text", "image"], None)
    assert found["id"] == "post"


def test_a_reference_is_looked_up_beneath_the_image_root(
    bundle: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As a worker does it."""
    image = ["--image", "file:bright%201.png", "--image-root", str(tmp_path)]

    assert classified(capsys, "--bundle", bundle, *image)["used"] == ["image"]


def test_what_a_worker_would_degrade_is_degraded(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And it says what is missing."""
    image = ["--image", "https://example.org/a.jpg"]
    found = classified(capsys, "--bundle", bundle, "--text", "坏", *image)

    assert (found["label"], found["missing"]) == ("消极", "image-scheme-off")


def test_what_a_worker_would_abstain_from_has_no_label(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Null for a program, a line for people."""
    post = ["--bundle", bundle, "--text", "很好", "--abstain-below", "1"]
    assert classified(capsys, *post)["label"] is None

    assert run(["classify", *post]) == 0
    shown = capsys.readouterr().out
    assert "→" not in shown
    assert "no label: no score reached abstain_below" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "give --text, --image, or both"),
        (["--text", " "], 1, "no-content"),
        (["--image", "nowhere.png"], 1, "there is no image nowhere.png"),
        (["--image", "ipfs:x"], 1, "image-scheme-unknown"),
        (["--text", "长" * 10_001], 1, "text-too-long"),
    ],
)
def test_what_a_worker_would_reject_is_told(
    bundle: str,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    words: str,
) -> None:
    """In one line, with the reason that a dead letter would have."""
    assert run(["classify", "--bundle", bundle, *arguments]) == code

    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_for_people_the_label_is_marked(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With a bar for each probability, and what it rests on."""
    assert run(["classify", "--bundle", bundle, "--text", "很好"]) == 0

    shown = capsys.readouterr().out
    assert shown.startswith("→ 积极  0.")
    assert "from text alone (no-image)" in shown


def test_a_bundle_is_shown_and_checked(bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As its manifest, whole for a program, in words for people."""
    assert run(["bundle", "show", bundle, "--json"]) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["labels"] == ["积极", "中性", "消极"]
    assert {"evaluation", "parity"} <= manifest.keys()
    assert run(["bundle", "show", bundle]) == 0
    assert "labels      积极, 中性, 消极" in capsys.readouterr().out
    assert run(["bundle", "check", bundle]) == 0
    assert "4 files are sound" in capsys.readouterr().out


def test_a_damaged_bundle_is_refused_by_the_file(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to do about it."""
    (Path(bundle) / "text.onnx").write_bytes(b"x")

    assert run(["bundle", "check", bundle]) == 1

    assert "text.onnx" in capsys.readouterr().err


def test_why_tells_of_words_and_places_and_changes_no_score(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The verdict is the same, with a field more."""
    post = ["--bundle", bundle, "--text", "服务很好", "--image", "bright 1.png"]
    plain, explained = classified(capsys, *post), classified(capsys, *post, "--why")

    why = explained.pop("why")
    assert explained == plain
    assert isinstance(why, dict)
    assert (why["label"], why["words"][0]["word"]) == ("积极", "好")
    assert [len(row) for row in why["places"]] == [4, 4, 4, 4]
    assert run(["classify", *post, "--why"]) == 0
    shown = capsys.readouterr().out
    assert "why 积极: its score of 0.999 is lower by so much without" in shown
    assert "  好\n" in shown
    assert "and without each place of the picture\n  +0.000  +0.000" in shown


def test_why_is_said_of_the_likeliest_label_where_there_is_none(
    bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of a text alone no place is named."""
    post = ["--bundle", bundle, "--text", "服务坏", "--abstain-below", "1", "--why"]
    found = classified(capsys, *post)

    assert found["label"] is None
    assert isinstance(found["why"], dict)
    assert (found["why"]["label"], found["why"]["places"]) == ("消极", [])
