"""Fitted pipelines and CNNs such as people bring, and a corpus they were not fitted on."""

import json
from pathlib import Path
from typing import Any, Final

import jieba
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.pipeline import Pipeline, make_pipeline

LABELS: Final = ("积极", "中性", "消极")
_WORDS: Final = (("好吃", "喜欢", "满意"), ("一般", "还行", "凑合"), ("差", "失望", "糟糕"))
_FILLER: Final = ("房间", "服务", "今天", "我", "的", "，", "iPhone-15", "T恤", "VIP")
_SHADE: Final = 70


def texts_and_labels(rows: int, seed: int, labels: int = 3) -> tuple[list[str], NDArray[np.int64]]:
    """Texts that show their labels, now and then without spaces."""
    chance = np.random.default_rng(seed)
    truth = chance.integers(0, labels, rows)
    texts = []
    for label in truth:
        words = chance.permutation([*chance.choice(_FILLER, 5), *chance.choice(_WORDS[label], 2)])
        texts.append(("" if chance.random() < 0.3 else " ").join(words))
    return texts, truth


def joined(texts: list[str]) -> list[str]:
    """As most people feed scikit-learn: jieba's words with spaces between them."""
    return [" ".join(jieba.cut(text)) for text in texts]


def jieba_words(text: str) -> list[str]:
    """As the others do: a tokenizer."""
    return [word for word in jieba.lcut(text) if not word.isspace()]


def fitted(*steps: Any, joined_words: bool = False, labels: int = 3) -> Pipeline:
    """A pipeline of these steps, fitted on the names of the labels."""
    texts, truth = texts_and_labels(150, 3, labels)
    names = np.array(LABELS)[truth]
    return make_pipeline(*steps).fit(joined(texts) if joined_words else texts, names)


def write_corpus(folder: Path, labels: int = 3, rows: int = 75) -> Path:
    """Both halves, each row with text and picture."""
    (folder / "images").mkdir(parents=True)
    for half, seed in (("train", 11), ("test", 12)):
        texts, truth = texts_and_labels(rows, seed, labels)
        pictures = pixels_of(truth, seed)
        lines = []
        for number, (text, label) in enumerate(zip(texts, truth.tolist(), strict=True)):
            name = f"images/{half}-{number}.png"
            Image.fromarray(pictures[number]).save(folder / name)
            row = {"id": f"{half}-{number}", "text": text, "image": name, "label": label}
            lines.append(json.dumps(row | {"label_name": LABELS[label]}))
        (folder / f"{half}.jsonl").write_text("\n".join(lines))
    return folder


def pixels_of(truth: NDArray[np.int64], seed: int) -> NDArray[np.uint8]:
    """Noise, redder by label."""
    chance = np.random.default_rng(seed)
    pixels = chance.integers(0, 90, (len(truth), 16, 16, 3))
    pixels[..., 0] += _SHADE * truth[:, None, None]
    return pixels.astype(np.uint8)
