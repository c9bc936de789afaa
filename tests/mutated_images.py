"""Good images of every kind, and what strangers could make of them: by chance, and repeatably."""

import random
from collections.abc import Iterator

from worker.images.decoder_child import warm_up

ALTERATIONS_MAX = 5


def mutated(count: int, seed: int) -> Iterator[bytes]:
    """Give `count` images that are good but for a few alterations."""
    chance = random.Random(seed)
    good = list(warm_up.kinds())
    for _ in range(count):
        image = bytearray(chance.choice(good))
        for _ in range(chance.randint(1, ALTERATIONS_MAX)):
            _alter(image, chance)
        yield bytes(image)


def _alter(image: bytearray, chance: random.Random) -> None:
    """Change a byte or a word, cut out or repeat a piece, or cut the end off."""
    place = chance.randrange(len(image) or 1)
    length = chance.randint(1, 16)
    match chance.randrange(12):
        case 0:
            # Sizes and lengths are what parsers trust.
            image[place : place + 4] = chance.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f"))
        case 1:
            del image[place : place + length]
        case 2:
            image[place:place] = image[place : place + length]
        case 3:
            del image[place + (len(image) - place) // 2 :]
        case _:
            image[place : place + 1] = bytes([chance.randrange(256)])
