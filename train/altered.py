"""Texts, altered where serving is most likely to differ from training: cheap, so there are many.

Each is a real text with odd characters, words or numbers put in, its case, width or spaces
changed, cut, turned round, doubled, or put together with another.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

Alteration = Callable[[str, str, np.random.Generator], str]

_ODD: Final = (
    "😡👍🏽",
    "👨‍👩‍👧‍👦",
    "🇨🇳",
    "e\u0301",
    "\u200b",
    "\ufeff",
    "㐂𠀀",
    "龦鿕",
    "豈",
    "\t",
    "\u3000",
    "\r\n",
    "\0",
    "\x85",
    "İß",
    "ﬁ①½Ⅳ",
    "々〇",
    "ー",
)
_LATIN: Final = (
    "iPhone-15",
    "a-b.c_d+e#f",
    "3.5%",
    "1,000.50",
    "C++",
    "U.S.A.",
    "v2.0_beta",
    "T恤",
    "VIP",
    "--__..",
    "http://a.b/c?d=1&e=2",
    "@某人#话题#",
)
_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
_HAN: Final = ((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF))
_RUNS: Final = "哈赞。！~6aA…"
_RUN_MAX: Final = 100
_TIMES_MAX: Final = 4
_CHARACTERS_MAX: Final = 100


def altered(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """`count` texts made of `texts`, none of them blank; equal arguments give equal texts."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(count):
        one, other = (texts[place] for place in chance.integers(0, len(texts), 2))
        alteration = ALTERATIONS[number % len(ALTERATIONS)]
        text = alteration(one[:_CHARACTERS_MAX], other[:_CHARACTERS_MAX], chance)
        made.append(text if text.strip() else one)
    return made


def _odd(text: str, other: str, chance: np.random.Generator) -> str:
    """With characters put in that are cleaned, cut or counted in ways of their own."""
    del other
    return _put_in(text, _ODD, chance)


def _latin(text: str, other: str, chance: np.random.Generator) -> str:
    """With runs of letters, digits and signs put in."""
    del other
    return _put_in(text, _LATIN, chance)


def _run(text: str, other: str, chance: np.random.Generator) -> str:
    """With one character many times over."""
    del other
    run = _RUNS[int(chance.integers(0, len(_RUNS)))] * int(chance.integers(2, _RUN_MAX))
    return _put_in(text, (run,), chance)


def _swapped_case(text: str, other: str, chance: np.random.Generator) -> str:
    return _put_in(text + other, _LATIN, chance).swapcase()


def _full_width(text: str, other: str, chance: np.random.Generator) -> str:
    return _put_in(text, _LATIN, chance).translate(_FULL_WIDTH) + other


def _spaced(text: str, other: str, chance: np.random.Generator) -> str:
    """With white space after every character."""
    del other
    return str(chance.choice([" ", "  ", "\t", "\u3000"])).join(text)


def _unspaced(text: str, other: str, chance: np.random.Generator) -> str:
    """Two texts as one, without white space."""
    del chance
    return "".join((text + other).split())


def _part(text: str, other: str, chance: np.random.Generator) -> str:
    """The end of one and the beginning of another, cut anywhere."""
    return text[_place(text, chance) :] + other[: _place(other, chance)]


def _turned_round(text: str, other: str, chance: np.random.Generator) -> str:
    del other, chance
    return text[::-1]


def _doubled(text: str, other: str, chance: np.random.Generator) -> str:
    """Every count higher."""
    del other
    return " ".join([text] * int(chance.integers(2, _TIMES_MAX + 1)))


def _unknown(text: str, other: str, chance: np.random.Generator) -> str:
    """Among Han of which jieba knows few."""
    first, last = _HAN[int(chance.integers(0, len(_HAN)))]
    drawn = "".join(map(chr, chance.integers(first, last, 20).tolist()))
    return text[: _place(text, chance)] + drawn + other[: _place(other, chance)]


ALTERATIONS: Final[tuple[Alteration, ...]] = (
    _odd,
    _latin,
    _run,
    _swapped_case,
    _full_width,
    _spaced,
    _unspaced,
    _part,
    _turned_round,
    _doubled,
    _unknown,
)


def _put_in(text: str, pieces: Sequence[str], chance: np.random.Generator) -> str:
    """The text with up to four of the pieces at any places."""
    for _ in range(int(chance.integers(1, 5))):
        place = _place(text, chance)
        text = text[:place] + str(pieces[int(chance.integers(0, len(pieces)))]) + text[place:]
    return text


def _place(text: str, chance: np.random.Generator) -> int:
    return int(chance.integers(0, len(text) + 1))
