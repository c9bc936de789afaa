"""Corpora are read as they are meant, and refused with the place and the reason."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.train.corpora import good_corpus, row, write_corpus, write_image
from train.corpus import check, load
from train.corpus_report import EXAMPLES_MAX, FATAL, Finding
from train.errors import CorpusError

Rows = list[dict[str, Any]]


def test_a_good_corpus_is_read(tmp_path: Path) -> None:
    """Rows in order, labels by number where they have no name, images by hash."""
    corpus = load(good_corpus(tmp_path))
    assert [each.id for each in corpus.train] == ["a", "b"]
    assert corpus.half("test") == corpus.test
    assert corpus.labels == ("0", "1")
    assert set(corpus.image_sha256) == {"images/b.png", "images/c.png"}
    assert corpus.image_path(corpus.train[1]) == tmp_path / "images/b.png"
    assert corpus.train[1].complete
    assert not corpus.train[0].complete


def test_names_stand_in_the_order_of_the_labels(tmp_path: Path) -> None:
    """A name belongs to its number, wherever it is first seen."""
    train = [row("a", 1, label_name="消极"), row("b", 0, label_name="积极")]
    corpus = load(write_corpus(tmp_path, train, [row("c", 1, label_name="消极")]))
    assert corpus.labels == ("积极", "消极")


def test_white_space_is_no_text_and_no_reference_no_image(tmp_path: Path) -> None:
    """What holds nothing is absent, as in a post."""
    picture = write_image(tmp_path, "a.png", 1)
    train = [row("a", 0, text=" \n", image=picture), row("b", 1, image="")]
    corpus = load(write_corpus(tmp_path, train, [row("c")]))
    assert [(each.text is None, each.image is None) for each in corpus.train] == [
        (True, False),
        (False, True),
    ]


def test_the_hash_follows_rows_and_images(tmp_path: Path) -> None:
    """Another pixel or another row is another corpus; the place is not."""
    first = load(good_corpus(tmp_path / "one"))
    assert load(good_corpus(tmp_path / "two")).sha256 == first.sha256
    write_image(tmp_path / "two", "b.png", 9)
    assert load(tmp_path / "two").sha256 != first.sha256


BAD: list[tuple[str, Rows, Rows, str]] = [
    ("no label", [{"id": "a", "text": "x"}, row("b", 1)], [row("c")], "line 1.*label"),
    ("no content", [row("a", text=None), row("b", 1)], [row("c")], "neither text nor image"),
    ("negative label", [row("a", -1), row("b", 1)], [row("c")], "label is -1"),
    ("text label", [row("a", text_label=-2), row("b", 1)], [row("c")], "text_label is -2"),
    ("one label", [row("a"), row("b")], [row("c")], "one label only"),
    ("gap", [row("a", 0), row("b", 2)], [row("c")], "must be 0 to"),
    ("only in test", [row("a", 0), row("b", 1)], [row("c", 2)], "test.jsonl line 1.*'c'.*no row"),
    ("empty half", [row("a", 0), row("b", 1)], [], "holds no row"),
    ("id in both", [row("a", 0), row("b", 1)], [row("a")], "'a' among them.*corpus split"),
    ("id twice", [row("a", 0), row("a", 1)], [row("b")], "'a' among them.*id of its own"),
    ("missing image", [row("a", image="images/no.png"), row("b", 1)], [row("c")], "no.png"),
    ("outside", [row("a", image="../a.png"), row("b", 1)], [row("c")], "leads out"),
    ("two names", [row("a", label_name="x"), row("b", 1)], [row("c")], "is named '0'.*'x'"),
    (
        "one name twice",
        [row("a", 0, label_name="x"), row("b", 1, label_name="x")],
        [row("c", 0, label_name="x")],
        "one name",
    ),
    ("too long", [row("a", text="字" * 10_001), row("b", 1)], [row("c")], "line 1"),
]


@pytest.mark.parametrize(
    ("train", "test", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_a_bad_corpus_is_refused(tmp_path: Path, train: Rows, test: Rows, message: str) -> None:
    """The error names what is wrong."""
    with pytest.raises(CorpusError, match=message):
        load(write_corpus(tmp_path, train, test))


def test_a_post_that_stands_in_both_halves_is_refused(tmp_path: Path) -> None:
    """By its text and its image's bytes, whatever its id and its file are called."""
    one, same = write_image(tmp_path, "one.png", 5), write_image(tmp_path, "same.png", 5)
    train = [row("a", 0, text="同样", image=one), row("b", 1)]
    corpus = write_corpus(tmp_path, train, [row("c", 0, text="同样", image=same)])
    with pytest.raises(CorpusError, match=r"'a' of .*'c' of test\.jsonl.*`tuwen corpus split`"):
        load(corpus)
    report = check(corpus)
    assert report.count(Finding.SHARED_POST) == 1
    assert not report.usable


def test_a_text_or_an_image_that_both_halves_have_is_no_fault(tmp_path: Path) -> None:
    """Two people may say the same, or show the same picture; such rows are left out later."""
    picture = write_image(tmp_path, "one.png", 5)
    train = [row("a", 0, text="好评"), row("b", 1, image=picture)]
    corpus = write_corpus(tmp_path, train, [row("c", 0, text="好评"), row("d", 1, image=picture)])
    assert len(load(corpus).train) == 2
    assert check(corpus).usable


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    """File and line number."""
    good_corpus(tmp_path)
    (tmp_path / "train.jsonl").write_text('{"id": "a"\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"train\.jsonl line 1"):
        load(tmp_path)


@pytest.mark.parametrize("read", [load, check])
def test_a_missing_file_or_folder_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """Both by `load` and by `check`."""
    with pytest.raises(CorpusError, match="is no folder"):
        read(tmp_path / "nothing")
    with pytest.raises(CorpusError, match=r"train\.jsonl is missing"):
        read(tmp_path)


def test_the_report_of_a_good_corpus_finds_only_that_it_is_small(tmp_path: Path) -> None:
    """Sizes by modality and label; how many rows a label needs depends on settings."""
    report = check(good_corpus(tmp_path))
    assert report.usable
    assert [(found.finding, found.examples) for found in report.found] == [
        (Finding.FEW_ROWS, ("0 0", "1 1"))
    ]
    half = report.halves["train"]
    assert (half.rows, half.complete, half.text_only, half.image_only) == (2, 1, 1, 0)
    assert half.labels == {"0": 1, "1": 1}


def test_the_report_finds_everything_at_once(tmp_path: Path) -> None:
    """All that is wrong, in one go, with examples."""
    shared = write_image(tmp_path, "shared.png", 3)
    again = write_image(tmp_path, "again.png", 3)
    (tmp_path / "images" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    train = [
        row("a", 0, text="同样", image=shared, label_name="x", source="web"),
        row("b", 0, text="同样", image="images/broken.png", label_name="y"),
        row("b", 0, image="images/none.png"),
        row("c", 0, image="../outside.png"),
        {"id": "d"},
    ]
    test = [row("e", 0, text="同样", image=again)]
    report = check(write_corpus(tmp_path, train, test))
    assert not report.usable
    absent = {Finding.EMPTY_HALF, Finding.NO_MODALITY, Finding.DUPLICATE_IMAGE}
    expected = set(Finding) - absent
    assert {found.finding for found in report.found} == expected
    counts = {found.finding: found.count for found in report.found}
    assert counts.pop(Finding.FEW_ROWS) == 3
    assert set(counts.values()) == {1}
    assert {found.finding for found in report.found if found.fatal} == expected & FATAL
    assert report.count(Finding.EMPTY_HALF) == 0


def test_a_half_without_an_image_that_can_be_decoded_is_found(tmp_path: Path) -> None:
    """And one without a text; training refuses both."""
    good_corpus(tmp_path)
    (tmp_path / "images" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    rows = [
        row("c", 0, text=None, image="images/c.png"),
        row("d", 1, text=None, image="images/c.png"),
    ]
    write_corpus(tmp_path, [row("a", 0), row("b", 1, image="images/b.png")], rows)
    found = {each.finding: each for each in check(tmp_path).found}
    assert found[Finding.NO_MODALITY].examples == ("train.jsonl: image", "test.jsonl: text")
    assert found[Finding.NO_MODALITY].fatal


def test_an_empty_half_is_found(tmp_path: Path) -> None:
    """A half without a row cannot be used."""
    report = check(write_corpus(tmp_path, [row("a"), row("b", 1)], []))
    assert report.count(Finding.EMPTY_HALF) == 1
    assert not report.usable


def test_few_examples_stand_for_many(tmp_path: Path) -> None:
    """A corpus full of one fault makes no endless report."""
    train = [row(str(number), number % 2, image=f"images/{number}.png") for number in range(50)]
    found = check(write_corpus(tmp_path, train, [row("t")])).found[0]
    assert (found.finding, found.count) == (Finding.MISSING_IMAGE, 50)
    assert len(found.examples) == EXAMPLES_MAX


def test_what_the_report_calls_usable_loads(tmp_path: Path) -> None:
    """`check` and `load` agree on every corpus here."""
    for number, (_, train, test, _) in enumerate(BAD):
        corpus = write_corpus(tmp_path / str(number), train, test)
        with pytest.raises(CorpusError):
            load(corpus)
        assert not check(corpus).usable, BAD[number][0]


def test_a_check_tells_how_far_it_is(tmp_path: Path) -> None:
    """Images take longest: large corpora take minutes."""
    told: list[tuple[str, int, int]] = []
    check(
        good_corpus(tmp_path), lambda step, done, total, note="": told.append((step, done, total))
    )
    assert told == [("looking at the images", 2, 2)]
