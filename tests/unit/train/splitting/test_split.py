"""A file of rows becomes a corpus that training takes, whole or not at all."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from schemas.manifest import LabelsFrom
from schemas.progress import silent
from tests.unit.train.corpora import write_image
from train.corpus import check, load
from train.corpus_report import Finding
from train.errors import CorpusError, SettingError
from train.label_origin import write_origin
from train.rows import Half
from train.splitting.split import SplitReport, SplitSettings, split

Rows = list[dict[str, Any]]


def _rows(folder: Path, count: int = 40) -> Rows:
    """Two labels by name; each text is in two rows, each picture in two files."""
    return [
        {
            "id": f"r{n}",
            "text": f"文字{n // 2}",
            "image": write_image(folder, f"{n}.png", (n + 1) // 2),
            "label": ("好评", "差评")[n % 4 // 2],
            "author": f"a{n % 40 // 20}",
            "time": f"2026-01-{1 + n % 28:02}",
        }
        if n % 5
        else {"id": f"r{n}", "text": f"没有图{n}", "image": None, "label": "差评", "time": n}
        for n in range(count)
    ]


def _split(folder: Path, rows: Rows, **settings: Any) -> SplitReport:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return split(
        folder / "rows.jsonl", folder / "out" / "corpus", SplitSettings(**settings), silent
    )


def _written(report: SplitReport) -> dict[str, Rows]:
    return {
        half: [
            json.loads(line)
            for line in (report.path / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for half in ("train", "test")
    }


def test_every_row_is_written_once_and_the_halves_share_nothing(tmp_path: Path) -> None:
    """In their order, with all their fields; labels have numbers, and keep their names."""
    rows = _rows(tmp_path)
    report = _split(tmp_path, rows)
    written = _written(report)
    places = {
        half: [int(row["id"].removeprefix("r")) for row in own] for half, own in written.items()
    }
    assert all(own == sorted(own) for own in places.values())
    assert sorted(places["train"] + places["test"]) == list(range(len(rows)))
    assert report.labels == ("好评", "差评")
    assert all(row["label_name"] == report.labels[row["label"]] for row in written["test"])
    assert {row["author"] for row in written["test"] if "author" in row} == {"a0", "a1"}
    found = check(report.path)
    assert found.usable
    assert found.count(Finding.SHARED_TEXT) == found.count(Finding.SHARED_IMAGE) == 0
    assert found.halves == report.halves
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["corpus"]


def test_rows_of_one_author_stay_together_when_asked(tmp_path: Path) -> None:
    """A third thing by which rows are alike."""
    rows = [{"id": f"r{n}", "text": f"t{n}", "label": n % 2, "by": f"a{n // 4}"} for n in range(40)]
    written = _written(_split(tmp_path, rows, group_by="by"))
    authors = {half: {row["by"] for row in own} for half, own in written.items()}
    assert not authors["train"] & authors["test"]
    assert len(written["test"]) == 8


def test_equal_seeds_divide_equally(tmp_path: Path) -> None:
    """Byte for byte, and other seeds otherwise."""
    hashes = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / name).mkdir()
        report = _split(tmp_path / name, _rows(tmp_path / name), seed=seed)
        hashes.append(load(report.path).sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_latest_rows_are_tested_on(tmp_path: Path) -> None:
    """And the report says from when on."""
    rows = [
        {"id": f"r{n}", "text": f"t{n}", "label": n % 2, "time": f"2026-01-{1 + n * 7 % 20:02}"}
        for n in range(20)
    ]
    report = _split(tmp_path, rows, by="time", test_share=0.25)
    assert sorted(row["time"] for row in _written(report)["test"]) == [
        f"2026-01-{day}" for day in range(16, 21)
    ]
    assert report.test_from == "2026-01-16"


@pytest.mark.parametrize("linked", [True, False])
def test_images_are_linked_or_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, linked: bool
) -> None:
    """Under their own paths, a file once however many rows name it."""

    def link(*_: object) -> NoReturn:
        raise OSError("no links here")

    if not linked:
        monkeypatch.setattr(os, "link", link)
    picture = write_image(tmp_path, "a.png", 1)
    rows = [
        {"id": "a", "image": picture, "label": 0},
        {"id": "b", "image": f"./images/../{picture}", "label": 1},
        *({"id": f"t{n}", "text": f"t{n}", "label": n % 2} for n in range(8)),
    ]
    report = _split(tmp_path, rows)
    placed = report.path / picture
    assert report.images == 1
    assert placed.read_bytes() == (tmp_path / picture).read_bytes()
    assert placed.samefile(tmp_path / picture) == linked


@pytest.mark.parametrize(
    ("name", "halves", "kept"),
    [
        ("train.jsonl", ("train",), True),
        ("test.jsonl", ("train",), False),
        ("rows.jsonl", ("train", "test"), True),
    ],
)
def test_labels_of_lexicons_stay_such(
    tmp_path: Path, name: str, halves: tuple[Half, ...], kept: bool
) -> None:
    """Both halves of the new corpus say where the labels of that file came from."""
    write_origin(tmp_path, LabelsFrom((), {}, halves, 0.5))
    rows = [{"id": f"r{n}", "text": f"t{n}", "label": n % 2} for n in range(20)]
    (tmp_path / name).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    report = split(tmp_path / name, tmp_path / "corpus", SplitSettings(), silent)
    origin = load(report.path).labels_from
    assert origin == report.labels_from
    assert (origin is not None) == kept
    assert origin is None or origin.halves == ("train", "test")


def _change(number: int, **fields: Any) -> Callable[[Rows], object]:
    return lambda rows: rows[number].update(fields)


@pytest.mark.parametrize(
    ("spoil", "settings", "message"),
    [
        (_change(3, id="r1"), {}, "line 2: id 'r1' stands 2 times"),
        (_change(3, image="images/no.png"), {}, "line 4: image 'images/no.png' of 'r3' is missing"),
        (_change(3, image="../no.png"), {}, r"line 4: image '\.\./no\.png' of 'r3' leads out"),
        (_change(3, image=7), {}, r"line 4: Expected .*\.image"),
        (_change(3, text=None, image=None), {}, "line 4: 'r3' has neither text nor image"),
        (_change(3, label_name="x"), {}, "line 4: label 1 is named 'x' here and '差评' before"),
        (lambda rows: [row.update(label="x") for row in rows], {}, "all rows have the label 'x'"),
        (lambda rows: [row.update(label_name="x") for row in rows], {}, "two labels have one name"),
        (lambda rows: [row.update(text="x") for row in rows], {}, "all hang together"),
        (lambda _: None, {"by": "time"}, "times are numbers and dates"),
        (lambda _: None, {"group_by": "user"}, "no row has the field 'user': there are author"),
        (
            lambda rows: [row.update(time=n, label=f"{n > 35}") for n, row in enumerate(rows)],
            {"by": "time"},
            "'True' are in the test half",
        ),
    ],
)
def test_rows_that_make_no_corpus_are_refused(
    tmp_path: Path, spoil: Callable[[Rows], object], settings: dict[str, Any], message: str
) -> None:
    """The error names the line and the row, and nothing is written."""
    rows = _rows(tmp_path)
    spoil(rows)
    with pytest.raises(CorpusError, match=message):
        _split(tmp_path, rows, **settings)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path) -> None:
    """Not even when it is empty."""
    (tmp_path / "out" / "corpus").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="is there already"):
        _split(tmp_path, _rows(tmp_path))
    assert not list((tmp_path / "out" / "corpus").iterdir())


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half a corpus, nor what was written beside it."""

    def rename(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="No space left"):
        _split(tmp_path, _rows(tmp_path))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_an_impossible_share_is_refused(share: float) -> None:
    """Each half needs rows."""
    with pytest.raises(SettingError, match="test share"):
        SplitSettings(test_share=share)
