import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import rjieba

from features.cutter import Cutter, UserWordError
from tests.unit.features.reference_jieba import jieba
from tests.unit.features.strange_texts import strange_texts

CORPUS_TEXTS = 8_000
STRANGE_TEXTS = 12_500


@pytest.fixture(scope="module")
def real(test_data: Path) -> list[str]:
    """The texts of all real posts."""
    return list(corpus_texts(test_data))


def corpus_texts(test_data: Path) -> Iterator[str]:
    """The texts of both halves."""
    for name in ("train.jsonl", "test.jsonl"):
        for line in (test_data / "zh_pairs_dev" / name).read_text("utf-8").splitlines():
            yield json.loads(line)["text"] or ""


@pytest.fixture(scope="module")
def strange() -> list[str]:
    """Texts over all Han blocks, runs and repeats, some of jieba's own words among them."""
    words = [word for word, count in jieba().dt.FREQ.items() if count and len(word) > 1]
    return list(strange_texts(20261123, STRANGE_TEXTS, words[::40]))


@pytest.mark.parametrize("hmm", [True, False])
def test_real_posts_are_cut_as_jieba_cuts_them(real: list[str], hmm: bool) -> None:
    """Not one of 8,000 posts differs, with the HMM and without."""
    cutter = Cutter(hmm=hmm)
    assert len(real) >= CORPUS_TEXTS
    assert [t for t in real if cutter.cut(t) != jieba().lcut(t, HMM=hmm)] == []


@pytest.mark.parametrize("hmm", [True, False])
def test_strange_texts_are_cut_as_jieba_cuts_them(strange: list[str], hmm: bool) -> None:
    """Not one of 15,000 differs, over all Han blocks, `-._` runs and repeats."""
    cutter = Cutter(hmm=hmm)
    assert [t for t in strange if cutter.cut(t) != jieba().lcut(t, HMM=hmm)] == []


def test_without_the_wrapper_real_posts_are_cut_otherwise(real: list[str]) -> None:
    """What the wrapper is for: rjieba alone differs from jieba."""
    assert any(rjieba.cut(text) != jieba().lcut(text) for text in real)


def test_without_the_wrapper_strange_texts_are_cut_otherwise(strange: list[str]) -> None:
    """Rjieba alone differs in a good share of them."""
    differing = sum(rjieba.cut(text) != jieba().lcut(text) for text in strange[:2000])
    assert differing > 100


@pytest.mark.parametrize("character", ["哈", "好", "啊", "a", "-", ".", "𠀀", "㐀"])
def test_a_character_in_long_runs_is_cut_as_jieba_cuts_it(character: str) -> None:
    """Equally good cuts differ by rounding alone, so that the totals must be the same."""
    cutter = Cutter()
    runs = [character * length for length in range(1, 200)]
    assert [run for run in runs if cutter.cut(run) != jieba().lcut(run)] == []


def test_words_that_repeat_are_cut_as_jieba_cuts_them() -> None:
    """彼此彼此彼此… has words of two lengths that fit equally well."""
    cutter = Cutter(hmm=False)
    runs = [word * times for word in ("彼此", "千灾", "呜儿") for times in range(1, 60)]
    assert [run for run in runs if cutter.cut(run) != jieba().lcut(run, HMM=False)] == []


def test_no_word_of_the_list_is_missing() -> None:
    """Every word of jieba's is one of rjieba's, and no mere prefix is."""
    jieba()
    frequencies = jieba().dt.FREQ
    assert all(rjieba.has_word(word) == bool(count) for word, count in frequencies.items())


def test_user_words_are_cut_as_jieba_cuts_them(real: list[str]) -> None:
    """With the same user words, in the same three forms, the cuts stay equal."""
    words = ["云计算 5 x", "创新办 3", "凯特琳", "好房间", "c++-x 100 nz"]
    reference = jieba().Tokenizer()
    for fields in map(str.split, words):
        frequency = int(fields[1]) if len(fields) > 1 else None
        reference.add_word(fields[0], frequency, fields[2] if len(fields) > 2 else None)
    cutter = Cutter(words)
    texts = [
        *real[:2000],
        "小张是创新办主任也是云计算专家凯特琳好房间c++-x",
    ]
    assert [text for text in texts if cutter.cut(text) != reference.lcut(text)] == []
    assert "创新办" in cutter.cut(texts[-1])


def test_user_words_do_not_reach_another_cutter() -> None:
    """They belong to the cutter that was given them."""
    assert "创新办主任" in Cutter(["创新办主任"]).cut("他是创新办主任")
    assert "创新办主任" not in Cutter().cut("他是创新办主任")


@pytest.mark.parametrize("line", ["", "一 二 三 四", "词 多"])
def test_a_line_that_is_no_user_word_is_named(line: str) -> None:
    """Too many fields, none, or a frequency that is no number."""
    with pytest.raises(UserWordError, match="user word"):
        Cutter([line])


def test_half_a_surrogate_pair_is_cut_as_an_unknown_character() -> None:
    """JSON can hold one, and rjieba cannot; no text stops the cutter."""
    assert Cutter().cut("好\ud83d好") == ["好", "\ufffd", "好"]


def test_the_words_joined_are_the_text(strange: list[str]) -> None:
    """Nothing is lost and nothing is added."""
    cutter = Cutter()
    assert all("".join(cutter.cut(text)) == text for text in strange[:2000])
