"""User words: every file that is taken is cut as jieba cuts it, and every other is named."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from features.cutter import Cutter
from tests.unit.features.strange_texts import strange_texts
from train import user_words
from train.errors import SettingError
from train.reference_terms import jieba_with
from train.user_words import FREQUENCY_MAX, checked, read_user_words, served
from tuwen.demo_corpus.moods import MOODS
from tuwen.demo_corpus.texts import compose

ASCII = "abz09-._+#&%"
FREQUENCIES = (1, 3, 10, 1000, 100_000, FREQUENCY_MAX)


def _lines(random: Random, count: int, texts: Sequence[str]) -> Iterator[str]:
    """Words of jieba's list, pieces of words and of texts, joined words, letters and signs."""
    known = [word for word, count in jieba_with().FREQ.items() if count]
    joined = "".join(texts)
    for _ in range(count):
        start = random.randrange(len(joined) - 6)
        word = random.choice(
            (
                random.choice(known),
                random.choice(known) + random.choice(known),
                random.choice(known)[1:] or "好",
                random.choice(known)[:2] + random.choice(ASCII),
                joined[start : start + random.randint(1, 5)],
                "".join(random.choices(ASCII, k=random.randint(1, 5))),
            )
        )
        yield word + random.choice(("", f" {random.choice(FREQUENCIES)}"))


def _taken(lines: Iterator[str]) -> tuple[str, ...]:
    """Those that are user words: a piece of a text may be none."""
    found: list[str] = []
    for line in lines:
        try:
            found += checked([line])
        except SettingError:
            continue
    return tuple(found)


def _cut_otherwise(seed: int, texts: Sequence[str]) -> list[str]:
    """The texts of which jieba and the cutter make other words, with random user words."""
    random = Random(seed)
    lines = _taken(_lines(random, random.choice((3, 30, 300)), texts))
    words = [line.split(" ")[0] for line in lines]
    reference, cutter = jieba_with(lines), Cutter(served(lines))
    strange = strange_texts(seed, 400, words + words[:1] * 20)
    return [text for text in (*texts, *strange) if cutter.cut(text) != reference.lcut(text)]


@pytest.mark.parametrize("seed", range(5))
def test_user_words_are_cut_as_jieba_cuts_them(seed: int) -> None:
    """Not one text differs: known and new words, with and without a frequency, and repeats."""
    random = Random(seed)
    assert _cut_otherwise(seed, [compose(mood, random) for mood in MOODS for _ in range(30)]) == []


def test_real_posts_with_user_words_are_cut_as_jieba_cuts_them(test_data: Path) -> None:
    """Not one of 8,000 differs, with words that are pieces of them."""
    texts = []
    for half in ("train.jsonl", "test.jsonl"):
        lines = (test_data / "zh_pairs_dev" / half).read_text("utf-8").splitlines()
        texts += [(json.loads(line)["text"] or "").lower() for line in lines]
    assert len(texts) >= 8_000
    assert _cut_otherwise(99, texts) == []


def test_a_word_that_repeats_is_cut_alike_for_equal_totals() -> None:
    """彼此彼此彼此… has cuts that fit equally well, and the total of frequencies tells."""
    lines = checked(["的 5", "我们 7"])
    runs = [word * times for word in ("彼此", "千灾", "呜儿") for times in range(1, 60)]
    reference, cutter = jieba_with(lines), Cutter(served(lines), hmm=False)
    assert [run for run in runs if cutter.cut(run) != reference.lcut(run, HMM=False)] == []
    *alone, total = served(lines)
    assert total.startswith("\ufdd1 ")
    assert alone == list(lines)


def test_a_file_is_read_as_jieba_reads_it(tmp_path: Path) -> None:
    """With and without frequency and tag, a byte order mark, blank lines and Windows' line ends."""
    file = tmp_path / "words.txt"
    file.write_bytes("\ufeff云计算 5 n\r\n\r\n  创新办  \r\n凯特琳 nz\r\nc++ 30\r\n".encode())
    assert read_user_words(file) == ("云计算 5", "创新办", "凯特琳", "c++ 30")
    assert jieba_with(read_user_words(file)).FREQ["云计算"] == 5
    assert "凯特琳" in Cutter(served(read_user_words(file))).cut("他是凯特琳吗")


def test_words_are_cleaned_as_texts_are() -> None:
    """A text is cut in lower case, with two of a Han character in a row at most."""
    assert checked(["iPhone 9", "哈哈哈"]) == ("iphone 9", "哈哈")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("云 计算 5 x", "no word with ' ' in it"),
        ("云计算\t5", r"no word with '\t' in it"),
        ("# 我的词", "comments are not known"),
        ("云·计算", "no word with '·' in it"),
        ("㐀字", "no word with '㐀' in it"),
        ("云计算 0", "1 or more"),
        (f"云计算 {FREQUENCY_MAX + 1}", "at most 1,000,000,000"),
        (f"云计算 {'9' * 5000}", "at most 1,000,000,000"),
    ],
)
def test_a_line_that_would_not_be_cut_alike_is_named(line: str, said: str, tmp_path: Path) -> None:
    """The error names file, line and what of it."""
    file = tmp_path / "words.txt"
    file.write_text(f"好词\n\n{line}\n", encoding="utf-8")
    with pytest.raises(SettingError) as refused:
        read_user_words(file)
    assert str(refused.value).startswith(f"{file}, line 3: ")
    assert said in str(refused.value)


@pytest.mark.parametrize(("content", "said"), [(b"\n \n", "not one word"), (b"\xff\xfe", "UTF-8")])
def test_a_file_without_user_words_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    """One that is empty, or in another encoding."""
    (tmp_path / "words.txt").write_bytes(content)
    with pytest.raises(SettingError, match=f"words.txt.*{said}"):
        read_user_words(tmp_path / "words.txt")


def test_more_words_than_jieba_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both word lists are held in memory, by every worker too."""
    monkeypatch.setattr(user_words, "USER_WORDS_MAX", 2)
    with pytest.raises(SettingError, match="3 words, and 2 are the most"):
        checked(["甲", "乙", "丙"])
