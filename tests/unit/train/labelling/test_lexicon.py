"""Files of polar words: what is read, and what is refused with its line."""

from pathlib import Path

import pytest

from features.cutter import Cutter
from train.errors import LexiconError
from train.labelling.lexicon import modifiers, read, shipped
from train.labelling.reader import clauses_of, user_words


def written(folder: Path, content: str | bytes) -> Path:
    """A lexicon file."""
    file = folder / "mine.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_a_lexicon_is_read_by_tabs_and_commas(tmp_path: Path) -> None:
    """Numbers and names of polarities, remarks and blank lines, a mark at the start, any case."""
    content = "\ufeff# mine\n好\t1\n\n差,-2.5\r\nOK，积极\n❤️,positive\n坑 , NEGATIVE\n好\t1\n"
    lexicon = read(written(tmp_path, content))
    assert lexicon.polarities == {"好": 1.0, "差": -2.5, "ok": 1.0, "❤": 1.0, "坑": -1.0}
    assert lexicon.name == "mine.txt"
    assert len(lexicon.sha256) == 64


BAD = [
    ("no polarity", "好\t1\n差\n", r"line 2.*write a word, a tab or a comma"),
    ("three fields", "好,1,2\n", "line 1"),
    ("a heading", "word,polarity\n好,1\n", r"line 1.*'polarity' is no polarity"),
    ("zero", "好,1\n桌子,0\n", r"line 2.*remove the line"),
    ("infinite", "好,inf\n", "line 1.*beyond"),
    ("not a number", "好,nan\n", "line 1.*beyond"),
    ("large", "好,101\n", "line 1.*beyond"),
    ("white space", "很 好,1\n", r"line 1.*no word"),
    ("punctuation", "好！,1\n", r"line 1.*no word"),
    ("no word", ",1\n", r"line 1.*no word"),
    ("long", "好" * 33 + ",1\n", r"line 1.*no word"),
    ("two polarities", "好,1\n差,-1\n好,-1\n", r"line 3.*'好' has another polarity in line 1"),
    ("another encoding", "好,1\n差,-1\n".encode("gb18030"), r"line 1 is not UTF-8.*iconv"),
    ("positive alone", "好,1\n", "no negative word"),
    ("negative alone", "差,-1\n", "no positive word"),
    ("empty", "# nothing\n", "no positive word"),
]


@pytest.mark.parametrize(
    ("content", "message"), [case[1:] for case in BAD], ids=[case[0] for case in BAD]
)
def test_a_bad_lexicon_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    """And with what to do."""
    with pytest.raises(LexiconError, match=message):
        read(written(tmp_path, content))


def test_the_shipped_lexicon_is_large_and_has_both_sides() -> None:
    """No side is twice the other, and no negation is a polar word: it could not turn one round."""
    lexicon = shipped()
    positive = sum(value > 0 for value in lexicon.polarities.values())
    assert len(lexicon.polarities) >= 1000
    assert 0.4 < positive / len(lexicon.polarities) < 0.6
    assert lexicon.name == "shipped"
    assert not modifiers().negations & lexicon.polarities.keys()


def test_no_modifier_is_both_a_negation_and_a_degree_word() -> None:
    """Degree words neither turn round nor wipe out."""
    held = modifiers()
    assert not held.negations & held.degrees.keys()
    assert all(0 < times <= 2 for times in held.degrees.values())


def test_clauses_end_at_every_sign_and_at_white_space() -> None:
    """A sign is a clause of its own, so that an emoji of a lexicon counts."""
    assert clauses_of("不，好吃 OK👍\n50%") == ["不", "，", "好吃", "ok", "👍", "50", "%"]


def test_only_words_that_would_be_cut_are_user_words() -> None:
    """What jieba knows keeps its own frequency; what it does not know stays whole."""
    made_up = "绝绝子赞"
    needed = user_words(["满意", made_up])
    assert needed == (made_up,)
    assert made_up in Cutter(needed).cut(f"这家店{made_up}啊")
