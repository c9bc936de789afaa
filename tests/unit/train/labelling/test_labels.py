"""A corpus without labels becomes one with those of lexicons, and says so."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.progress import silent
from tests.unit.train.corpora import row, write_corpus, write_image
from train.corpus import load
from train.errors import CorpusError, SettingError
from train.labelling.labels import LabelSettings, label
from train.labelling.lexicon import Lexicon, shipped
from train.labelling.rule import RuleSettings

MINE = Lexicon("mine", "0" * 64, {"满意": 1.0, "失望": -1.0})
OTHER = Lexicon("other", "1" * 64, {"满意": -1.0, "失望": -1.0, "好吃": 1.0})

GOOD, BAD, PLAIN = "很满意", "太失望了", "今天星期五"


def post(identity: str, text: str | None, **fields: Any) -> dict[str, Any]:
    """A row that nobody labelled."""
    return {"id": identity, "text": text, **fields}


def unlabelled(folder: Path) -> Path:
    """Texts, a picture alone, and fields of the owner's own."""
    train = [
        post("good", GOOD, image=write_image(folder, "a.png", 1), shop=7),
        post("bad", BAD),
        post("plain", PLAIN),
        post("picture", None, image=write_image(folder, "b.png", 2)),
    ]
    return write_corpus(folder, train, [post("c", "满意，满意"), post("d", "失望")])


def rows_of(folder: Path, half: str) -> dict[str, dict[str, Any]]:
    """By id."""
    lines = (folder / f"{half}.jsonl").read_text(encoding="utf-8").splitlines()
    return {each["id"]: each for each in map(json.loads, lines)}


def test_rows_get_the_labels_of_the_lexicon_or_are_left_out(tmp_path: Path) -> None:
    """Only what is labelled is there, with its image and the owner's own fields."""
    out = tmp_path / "out"
    report = label(unlabelled(tmp_path / "in"), [MINE], LabelSettings(), out, silent)
    corpus = load(out)
    assert corpus.labels == ("积极", "消极")
    assert [(each.id, each.label) for each in corpus.train] == [("good", 0), ("bad", 1)]
    assert [(each.id, each.label) for each in corpus.test] == [("c", 0), ("d", 1)]
    assert rows_of(out, "train")["good"]["shop"] == 7
    assert [each.name for each in (out / "images").iterdir()] == ["a.png"]
    assert (out / "images" / "a.png").samefile(tmp_path / "in" / "images" / "a.png")
    assert report.together.coverage == 4 / 5
    assert report.halves["train"].left_out == 2
    assert {each.name for each in tmp_path.iterdir()} == {"in", "out"}


def test_the_new_corpus_says_where_its_labels_come_from(tmp_path: Path) -> None:
    """Lexicon, rule and coverage; and its hash follows that."""
    out = tmp_path / "out"
    label(unlabelled(tmp_path / "in"), [MINE], LabelSettings(), out, silent)
    corpus = load(out)
    origin = corpus.labels_from
    assert origin is not None
    assert (origin.halves, origin.coverage) == (("train", "test"), 0.8)
    [used] = origin.lexicons
    assert (used.name, used.sha256, used.words) == ("mine", "0" * 64, 2)
    assert origin.rule["window"] == 4
    (out / "labels.json").unlink()
    assert load(out).sha256 != corpus.sha256
    (out / "labels.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CorpusError, match=r"labels.json cannot be read.*label the corpus anew"):
        load(out)


def test_a_corpus_that_people_labelled_has_no_such_origin(tmp_path: Path) -> None:
    """Its figures are accuracy."""
    train = [row("a", 0), row("b", 1)]
    assert load(write_corpus(tmp_path, train, [row("c", 0)])).labels_from is None


def by_people(folder: Path) -> Path:
    """Labelled by people, whom lexicons contradict once; a row bears what its text shows."""
    train = [
        row("a", 1, text=GOOD, label_name="positive", text_label=1, image_label=0),
        row("b", 0, text=BAD, label_name="negative"),
        row("c", 0, text="满意", label_name="negative"),
    ]
    test = [row("d", 0, text=PLAIN, label_name="negative")]
    return write_corpus(folder, train, test)


def test_the_test_half_keeps_the_labels_of_people(tmp_path: Path) -> None:
    """So that accuracy on it is real; of the training half nothing of people is left."""
    out = tmp_path / "out"
    report = label(by_people(tmp_path / "in"), [MINE], LabelSettings(), out, silent)
    corpus = load(out)
    assert corpus.labels == ("positive", "negative")
    assert [(each.label, each.text_label, each.image_label) for each in corpus.train] == [
        (0, None, None),
        (1, None, None),
        (0, None, None),
    ]
    assert [(each.id, each.label) for each in corpus.test] == [("d", 1)]
    assert corpus.labels_from is not None
    assert corpus.labels_from.halves == ("train",)
    assert report.halves["test"].labels_by == "people"
    assert report.together.accuracy is not None
    assert (report.together.accuracy.right, report.together.accuracy.rows) == (2, 3)
    assert report.together.text_accuracy is not None
    assert report.together.text_accuracy.rows == 1


def test_the_labels_of_lexicons_can_be_asked_for_in_both_halves(tmp_path: Path) -> None:
    """Then nothing of people is left, and this test half has no label at all."""
    settings = LabelSettings(test_labels="lexicons")
    with pytest.raises(CorpusError, match=r"no row of test.jsonl got a label"):
        label(by_people(tmp_path / "in"), [MINE], settings, tmp_path / "out", silent)
    with pytest.raises(SettingError, match=r"no row of test.jsonl has a label of people"):
        label(
            unlabelled(tmp_path / "none"),
            [MINE],
            LabelSettings(test_labels="people"),
            tmp_path / "out",
            silent,
        )


def test_lexicons_that_differ_abstain(tmp_path: Path) -> None:
    """What one alone finds is labelled, and figures are given for each and for all."""
    rows = [post("a", "满意"), post("b", "失望"), post("c", "好吃")]
    corpus = write_corpus(tmp_path / "in", rows, [post("d", "失望，真失望")])
    report = label(corpus, [MINE, OTHER], LabelSettings(), tmp_path / "out", silent)
    assert set(rows_of(tmp_path / "out", "train")) == {"b", "c"}
    assert [each.labelled for each in (*report.lexicons, report.together)] == [3, 4, 3]
    [pair] = report.pairs
    assert (pair.texts, pair.agreement) == (3, 2 / 3)


def test_a_text_without_a_polar_word_is_neutral_where_that_is_asked_for(tmp_path: Path) -> None:
    """A row without a text never is."""
    settings = LabelSettings(neutral="中性")
    label(unlabelled(tmp_path / "in"), [MINE], settings, tmp_path / "out", silent)
    corpus = load(tmp_path / "out")
    assert corpus.labels == ("积极", "中性", "消极")
    assert [(each.id, each.label) for each in corpus.train] == [
        ("good", 0),
        ("bad", 2),
        ("plain", 1),
    ]


def test_a_label_of_people_that_lexicons_do_not_give_is_named(tmp_path: Path) -> None:
    """In the test half; the error says how to go on."""
    train = [post("a", GOOD), post("b", BAD)]
    test = [
        row("c", 0, label_name="积极"),
        row("d", 1, label_name="中性"),
        row("e", 2, label_name="消极"),
    ]
    corpus = write_corpus(tmp_path / "in", train, test)
    with pytest.raises(
        CorpusError, match="--neutral 中性 if it is that, or --test-labels lexicons"
    ):
        label(corpus, [MINE], LabelSettings(), tmp_path / "out", silent)


BROKEN: list[tuple[str, list[dict[str, Any]], str]] = [
    ("neither", [post("a", " "), post("b", BAD)], "line 1: 'a' has neither text nor image"),
    ("twice", [post("a", GOOD), post("a", BAD)], "'a' among them"),
    ("two names", [row("a", 0, label_name="x"), row("b", 0, label_name="y")], "is named 'y' here"),
    ("not a label", [post("a", GOOD, label="积极"), post("b", BAD)], "line 1: Expected `int"),
    ("one label", [post("a", GOOD), post("b", "满意")], "got the label '消极'"),
    ("no row", [], "train.jsonl holds no row"),
    ("no image", [post("a", GOOD, image="no.png"), post("b", BAD)], "'no.png' is missing"),
    ("outside", [post("a", GOOD, image="../x.png"), post("b", BAD)], "leads out of the corpus"),
]


@pytest.mark.parametrize(
    ("train", "message"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_what_cannot_be_labelled_is_refused_and_leaves_nothing(
    tmp_path: Path, train: list[dict[str, Any]], message: str
) -> None:
    """With the row, and what is wrong with it."""
    corpus = write_corpus(tmp_path / "in", train, [post("t", "满意，不错")])
    with pytest.raises(CorpusError, match=message):
        label(corpus, [MINE], LabelSettings(), tmp_path / "out", silent)
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_a_corpus_of_pictures_alone_is_refused(tmp_path: Path) -> None:
    """Lexicons read texts."""
    rows = [post("a", None, image=write_image(tmp_path / "in", "a.png", 1))]
    corpus = write_corpus(tmp_path / "in", rows, [{**rows[0], "id": "b"}])
    with pytest.raises(CorpusError, match="has no text"):
        label(corpus, [MINE], LabelSettings(), tmp_path / "out", silent)


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    """Not even an empty one; and two lexicons of one name would be one in the figures."""
    corpus = unlabelled(tmp_path / "in")
    with pytest.raises(FileExistsError, match="name a new folder"):
        label(corpus, [MINE], LabelSettings(), corpus, silent)
    with pytest.raises(SettingError, match="two lexicons are named 'mine'"):
        label(corpus, [MINE, MINE], LabelSettings(), tmp_path / "out", silent)


def test_an_image_named_as_a_file_of_the_corpus_is_not_written_through(tmp_path: Path) -> None:
    """A link to it would be the source's own file."""
    source = write_corpus(
        tmp_path / "in",
        [post("a", GOOD, image="test.jsonl"), post("b", BAD)],
        [post("c", "满意")],
    )
    before = (source / "test.jsonl").read_bytes()
    label(source, [MINE], LabelSettings(), tmp_path / "out", silent)
    assert (source / "test.jsonl").read_bytes() == before
    assert not (tmp_path / "out" / "test.jsonl").samefile(source / "test.jsonl")


def test_labels_of_lexicons_are_not_taken_for_those_of_people(tmp_path: Path) -> None:
    """A corpus that was labelled so is labelled anew, and compared with its people's half alone."""
    label(by_people(tmp_path / "in"), [MINE], LabelSettings(), tmp_path / "once", silent)
    report = label(tmp_path / "once", [MINE], LabelSettings(), tmp_path / "twice", silent)
    assert report.together.accuracy is None
    assert report.halves["test"].labels_by == "people"
    settings = LabelSettings(neutral="中性")
    label(unlabelled(tmp_path / "plain"), [MINE], settings, tmp_path / "first", silent)
    again = label(tmp_path / "first", [MINE], LabelSettings(), tmp_path / "second", silent)
    assert again.halves["test"].labels_by == "lexicons"


@pytest.mark.parametrize(
    ("text", "side"),
    [
        ("房间很干净，服务员热情，非常满意！", "积极"),
        ("不是很满意，味道不太好", "消极"),
        ("太难吃了，再也不想来，差评", "消极"),
        ("一点也不失望", "积极"),
        ("并不便宜，态度也不好", "消极"),
        ("好贵", "消极"),
    ],
)
def test_the_shipped_lexicon_reads_plain_sentences(tmp_path: Path, text: str, side: str) -> None:
    """By its own words, negations and degree words; 好贵 is read whole, and dear is bad."""
    train = [post("a", text), post("good", "很满意"), post("bad", "太失望")]
    corpus = write_corpus(tmp_path / "in", train, [post("c", "高兴")])
    label(corpus, [shipped()], LabelSettings(RuleSettings()), tmp_path / "out", silent)
    found = rows_of(tmp_path / "out", "train").get("a", {}).get("label_name")
    assert found == side


def test_settings_say_what_they_are(tmp_path: Path) -> None:
    """The rule in labels.json is the rule that was asked for, without a path of this machine."""
    corpus, out = unlabelled(tmp_path / "in"), tmp_path / "out"
    label(corpus, [MINE], LabelSettings(RuleSettings(window=2, lean_min=0.5)), out, silent)
    held = msgspec.json.decode((out / "labels.json").read_bytes())
    assert (held["rule"]["window"], held["rule"]["lean_min"]) == (2, 0.5)
    assert str(tmp_path) not in (out / "labels.json").read_text(encoding="utf-8")
