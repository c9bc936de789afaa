"""CPU per post of counting words and pairs of words: by a vocabulary, and by hashing.

    python -m benchmarks.counting

Texts of 60 words, cut by jieba's words; `cut` is what cutting alone costs of either. The least of
several rounds counts, so that what else runs on the machine counts least.
"""

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from benchmarks.provenance import commit, machine
from benchmarks.real_size_bundle import TERMS, texts
from features.clean import clean_batch
from features.cutter import Cutter
from features.text import TextVectoriser, terms_of
from schemas.manifest import HASHED_COLUMNS_MAX, FileSpec, Hashing, TextBlock

WORDS: Final = 60
POSTS: Final = 2048
LEARNT: Final = 20_000
BATCHES: Final = (1, 32, 256)
ROUNDS: Final = 7

NGRAMS: Final = (1, 2)
KNOWN: Final = TextBlock("words", FileSpec("", "", 0), ngrams=NGRAMS)
HASHED: Final = TextBlock("words", None, ngrams=NGRAMS, hashing=Hashing(HASHED_COLUMNS_MAX))


def main() -> None:
    """Print the table."""
    posts = _texts()
    counted = Counter(term for terms in terms_of(KNOWN, texts(LEARNT, 1)) for term in terms)
    vocabulary = [term for term, _ in counted.most_common(TERMS)]
    cutter = Cutter()
    ways: dict[str, Callable[[list[str]], object]] = {
        "cut": lambda batch: cutter.cut("\n".join(clean_batch(KNOWN, batch))),
        f"{len(vocabulary):,} terms": TextVectoriser(KNOWN, vocabulary).counts,
        f"{HASHED_COLUMNS_MAX:,} hashed columns": TextVectoriser(HASHED, ()).counts,
    }
    print(f"{machine()}, commit {commit()}")  # noqa: T201 -- its product.
    print(f"{'µs CPU/post, batches of':<24} {' '.join(f'{each:>7}' for each in BATCHES)}")  # noqa: T201 -- as above.
    for name, count in ways.items():
        costs = " ".join(f"{_cost(count, posts, batch):>7.1f}" for batch in BATCHES)
        print(f"{name:<24} {costs}", flush=True)  # noqa: T201 -- as above.


def _texts() -> list[str]:
    cut = Cutter().cut
    longer = zip(texts(POSTS, 2), texts(POSTS, 3), strict=True)
    return ["".join(cut(first + second)[:WORDS]) for first, second in longer]


def _cost(count: Callable[[list[str]], object], posts: list[str], batch: int) -> float:
    """µs of CPU per post of the fastest round."""
    batches = [posts[start : start + batch] for start in range(0, len(posts), batch)]
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for each in batches:
            count(each)
        rounds.append(time.process_time() - start)
    return min(rounds) * 1e6 / len(posts)


if __name__ == "__main__":
    main()
