import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image

from inference.classifier import Classifier
from tests.tiny_bundle import write_manifest, write_tiny_bundle
from tuwen.command import run

ROWS: Sequence[Mapping[str, Any]] = (
    {"id": "t1", "text": "很好", "image": "images/bright.png", "label": 0, "label_name": "积极"},
    {"id": "t2", "text": "坏", "image": "images/dark.png", "label": 2, "label_name": "消极"},
    {"id": "t3", "text": "一般", "image": None, "label": 1, "label_name": "中性"},
    {"id": "t4", "text": "好", "image": None, "label": 2, "label_name": "消极"},
    {"id": "t5", "text": None, "image": "images/dark.png", "label": 2, "label_name": "消极"},
    {"id": "t6", "text": None, "image": "images/broken.png", "label": 0, "label_name": "积极"},
    {"id": "t7", "text": "好", "image": "images/broken.png", "label": 0, "label_name": "积极"},
)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle, and a corpus whose rows it labels in known ways."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUWEN_TEST_DATA", raising=False)
    write_tiny_bundle(tmp_path / "bundle")
    images = tmp_path / "corpus" / "images"
    images.mkdir(parents=True)
    for name, brightness in (("bright", 255), ("dark", 0)):
        Image.new("RGB", (8, 8), (brightness,) * 3).save(images / f"{name}.png")
    (images / "broken.png").write_bytes(b"no picture")
    write_half("test", ROWS)
    write_half("train", ROWS[:1])


def write_half(half: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a half of the corpus."""
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    Path("corpus", f"{half}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_contrary_bundle(folder: str) -> None:
    """A bundle that takes the first label for the last, and the other way round."""
    manifest = write_tiny_bundle(Path(folder), name="contrary")
    write_manifest(Path(folder), msgspec.structs.replace(manifest, labels=manifest.labels[::-1]))


def evaluated(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    """The figures as JSON."""
    assert run(["evaluate", "bundle", "corpus", "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_bundle_is_judged_on_the_test_half(capsys: pytest.CaptureFixture[str]) -> None:
    """By hand: of the six rows with a verdict, one is wrong; one has a broken image alone."""
    found = evaluated(capsys)
    figures = found["bundle"]

    assert (found["half"], found["against"], found["comparison"]) == ("test", None, None)
    assert (figures["rows"], figures["labelled"], figures["abstained"]) == (7, 6, 0)
    assert figures["rejected"] == {"image-format-unknown": 1}
    assert figures["missing"] == {"no-image": 2, "no-text": 1, "image-format-unknown": 1}
    assert (figures["accuracy"]["right"], figures["accuracy"]["rows"]) == (5, 6)
    assert figures["accuracy"]["low"] < 5 / 6 < figures["accuracy"]["high"]
    assert figures["confusion"] == [[2, 0, 0], [0, 1, 0], [1, 0, 2]]
    by_label = {each["label"]: each for each in figures["labels"]}
    assert by_label["积极"]["precision"] == pytest.approx(2 / 3)
    assert by_label["消极"]["recall"] == pytest.approx(2 / 3)
    assert figures["macro_f1"] == pytest.approx((0.8 + 1 + 0.8) / 3)
    assert figures["cpu_us_per_post"] > 0


def test_rows_are_told_apart_by_what_they_were_labelled_from(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A post whose image cannot be had counts where it was labelled: among the texts."""
    parts = evaluated(capsys)["bundle"]["by_presence"]

    assert {name: part["accuracy"]["rows"] for name, part in parts.items()} == {
        "complete": 2,
        "text only": 3,
        "image only": 1,
    }
    assert parts["complete"]["accuracy"]["right"] == 2
    assert parts["text only"]["accuracy"]["right"] == 2
    # Four, in a softmax with two zeros, is what one word gives; one of three is wrong.
    sure = np.exp(4) / (np.exp(4) + 2)
    assert parts["text only"]["calibration_error"] == pytest.approx(sure - 2 / 3, abs=1e-6)


def test_batches_change_no_figure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no batch is larger than a worker's."""
    whole = evaluated(capsys)["bundle"]
    sizes: list[int] = []
    classify = Classifier.classify

    def counted(self: Classifier, texts: Any, pixels: Any) -> Any:
        sizes.append(len(texts))
        return classify(self, texts, pixels)

    monkeypatch.setattr(Classifier, "classify", counted)
    monkeypatch.setenv("TUWEN_BATCH_RECORDS_MAX", "2")
    small = evaluated(capsys)["bundle"]

    assert max(sizes) == 2
    assert small["confusion"] == whole["confusion"]
    assert small["calibration_error"] == pytest.approx(whole["calibration_error"], abs=1e-6)


def test_what_is_abstained_from_is_counted_and_not_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One word makes .965; only with a picture is it more."""
    figures = evaluated(capsys, "--abstain-below", "0.99")["bundle"]

    assert (figures["labelled"], figures["abstained"]) == (2, 4)
    assert figures["accuracy"]["value"] == 1.0
    assert set(figures["by_presence"]) == {"complete"}
    assert run(["evaluate", "bundle", "corpus", "--abstain-below", "0.99"]) == 0
    assert "4 of 7 rows; coverage 0.333, and the figures are" in capsys.readouterr().out


def test_the_other_half_is_judged_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name."""
    assert evaluated(capsys, "--half", "train")["bundle"]["rows"] == 1


def test_two_bundles_are_compared_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    """Labels are compared by their names, whatever their order in the bundle."""
    write_half("test", [{**row, "id": f"{row['id']}-{n}"} for n in range(5) for row in ROWS])
    write_contrary_bundle("contrary")
    found = evaluated(capsys, "--against", "contrary")
    comparison = found["comparison"]

    assert found["bundle"]["accuracy"]["right"] == 25
    assert found["against"]["accuracy"]["right"] == 10
    assert comparison["accuracy"]["value"] == pytest.approx(0.5)
    assert comparison["accuracy"]["low"] > 0
    assert comparison["accuracy"]["p_value"] < 0.01
    assert (comparison["left_out"], comparison["flips"]) == (5, 25)
    assert len(comparison["shown"]) == 20
    assert comparison["shown"][0] == {
        "id": "t1-0",
        "truth": "积极",
        "one": "积极",
        "other": "消极",
    }


@pytest.mark.parametrize(
    ("bundles", "times", "words"),
    [
        (["bundle", "--against", "contrary"], 5, "tiny 1 is better than contrary 1: 0.500 more"),
        (["contrary", "--against", "bundle"], 5, "tiny 1 is better than contrary 1: 0.500 more"),
        (["bundle", "--against", "contrary"], 1, "tiny 1 and contrary 1 cannot be told apart"),
        (["bundle", "--against", "bundle"], 5, "tiny 1 and tiny 1 cannot be told apart"),
    ],
)
def test_which_is_better_is_said_in_a_sentence(
    capsys: pytest.CaptureFixture[str], bundles: list[str], times: int, words: str
) -> None:
    """Whichever is named first; of few rows nothing can be said."""
    write_half("test", [{**row, "id": f"{row['id']}-{n}"} for n in range(times) for row in ROWS])
    write_contrary_bundle("contrary")
    bundle, *rest = bundles
    assert run(["evaluate", bundle, "corpus", *rest]) == 0

    assert words in capsys.readouterr().out


def test_for_people_there_are_lines_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """Labels by row: how well each is found, then what it was called."""
    assert run(["evaluate", "bundle", "corpus"]) == 0

    shown = capsys.readouterr().out
    assert "accuracy           0.833 (" in shown
    assert "rejected           1 image-format-unknown" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith("消极")]
    assert rows == [["消极", "3", "1.000", "0.667", "0.800"], ["消极", "1", "0", "2"]]


def stranger() -> None:
    """A row with a label that the bundle was never told of."""
    write_half("test", [*ROWS[:1], {"id": "x", "text": "好", "label": 0, "label_name": "愤怒"}])


def nameless() -> None:
    """A row whose label has no name but its number."""
    write_half("test", [{"id": "x", "text": "好", "label": 0}])


def empty() -> None:
    """No row at all."""
    write_half("test", [])


def pictures_gone() -> None:
    """One row, of an image that cannot be read."""
    write_half("test", ROWS[5:6])


def damaged() -> None:
    """A bundle with a graph that is none."""
    Path("bundle", "text.onnx").write_bytes(b"x")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (stranger, "test.jsonl line 2: label '愤怒' is none that tiny 1 knows (积极, 中性, 消极)"),
        (nameless, "test.jsonl line 1: label '0' is none that tiny 1 knows"),
        (empty, "test.jsonl holds no row"),
        (pictures_gone, "tiny 1 labelled none of 1 rows"),
        (damaged, "text.onnx"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(
    capsys: pytest.CaptureFixture[str], spoil: Any, words: str
) -> None:
    """In one line, before a figure is printed."""
    spoil()
    assert run(["evaluate", "bundle", "corpus"]) == 1

    shown = capsys.readouterr()
    assert words in shown.err
    assert shown.out == ""


def lexicons_gave(*halves: str) -> None:
    """Say of the corpus that lexicons gave the labels of these halves."""
    used = {"name": "mine.txt", "sha256": "0" * 64, "words": 12, "coverage": 0.5}
    origin = {"lexicons": [used], "rule": {}, "halves": halves, "coverage": 0.5}
    Path("corpus", "labels.json").write_text(json.dumps(origin), encoding="utf-8")


def test_figures_on_labels_of_lexicons_are_called_agreement(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Never accuracy; on a half of people they are that."""
    lexicons_gave("train", "test")
    assert run(["evaluate", "bundle", "corpus"]) == 0
    shown = capsys.readouterr().out
    assert "come from lexicons, not from people: mine.txt (12 words)" in shown
    assert "agreement          0.833" in shown
    assert "accuracy" not in shown
    lexicons_gave("train")
    assert run(["evaluate", "bundle", "corpus"]) == 0
    shown = capsys.readouterr().out
    assert "accuracy           0.833" in shown
    assert "agreement" not in shown
    assert evaluated(capsys)["labels_from"]["halves"] == ["train"]


def test_agreement_with_lexicons_makes_no_bundle_the_better_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """However significant the difference is."""
    write_contrary_bundle("contrary")
    write_half("test", [{**ROWS[0], "id": f"t{number}"} for number in range(20)])
    lexicons_gave("train", "test")
    assert run(["evaluate", "bundle", "corpus", "--against", "contrary"]) == 0
    shown = capsys.readouterr().out
    assert "agrees with the lexicons on 1.000 more of the rows than contrary" in shown
    assert "is better than" not in shown
