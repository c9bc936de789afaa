"""Texts that no corpus holds: all blocks of Han, runs of ASCII, repeats, control characters."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

HAN_BLOCKS: Final = (
    (0x2E80, 0x2FDF),
    (0x3000, 0x303F),
    (0x31C0, 0x31EF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x16FE0, 0x16FFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2EBE0),
    (0x2F800, 0x2FA1F),
    (0x30000, 0x323AF),
)
OTHER_BLOCKS: Final = (
    (0x0020, 0x007E),
    (0x00A0, 0x024F),
    (0x2000, 0x206F),
    (0x3040, 0x30FF),
    (0xAC00, 0xD7A3),
    (0xFF00, 0xFFEF),
    (0x1F300, 0x1F6FF),
)
_WHITE_SPACE: Final = (" ", "\r\n", "\n", "\r", "\t", "\u3000", "\x1c", "\x85", "\u2028", "\0")


def strange_texts(seed: int, count: int, words: Sequence[str]) -> Iterator[str]:
    """`count` texts of one to ten pieces; some of the pieces are of `words`."""
    random = Random(seed)
    for _ in range(count):
        yield "".join(_piece(random, words) for _ in range(random.randint(1, 10)))


def _piece(random: Random, words: Sequence[str]) -> str:
    match random.randrange(9):
        case 0 | 1:
            return random.choice(words)
        case 2:
            return _of_block(random, random.choice(HAN_BLOCKS))
        case 3:
            return _of_block(random, random.choice(OTHER_BLOCKS))
        case 4:
            return "".join(random.choices("-._+#&% ", k=random.randint(1, 6)))
        case 5:
            return "".join(random.choices("abzAZ019-._+#&%", k=random.randint(1, 8)))
        case 6:
            return random.choice("哈呵好啊大0a-.!") * random.randint(1, 60)
        case 7:
            return random.choice(words) * random.randint(2, 4)
        case _:
            return random.choice(_WHITE_SPACE)


def _of_block(random: Random, block: tuple[int, int]) -> str:
    return "".join(chr(random.randint(*block)) for _ in range(random.randint(1, 4)))
