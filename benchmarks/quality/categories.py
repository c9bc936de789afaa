"""Make corpora of posts by category: any number of labels and any shares of them, images absent
from a third of the rows, and some long texts.

A text has words of its category among common ones, a picture one figure per category. Each of
both, by itself, may say nothing or belong to another category, so that together they know more.
"""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from pathlib import Path
from random import Random
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from tuwen.demo_corpus.pen import Colour, Pen, Point, arc

WITHOUT_IMAGE_SHARE: Final = 1 / 3
LONG_SHARE: Final = 0.04
_SAYS_NOTHING_SHARE: Final = 0.2
_OF_ANOTHER_SHARE: Final = 0.08
_SENTENCES: Final = (1, 3)
_LONG_SENTENCES: Final = (40, 300)
_SIDE: Final = 64

WORDS: Final = {
    "书籍": ("作者", "章节", "翻译", "封面", "书页", "情节", "印刷"),
    "手机": ("信号", "通话", "拍照", "充电器", "屏幕", "系统", "电池"),
    "水果": ("苹果", "新鲜", "果肉", "香甜", "橙子", "斤两", "果皮"),
    "洗护": ("头发", "泡沫", "柔顺", "去屑", "香味", "护发素", "头皮"),
    "家电": ("热水器", "安装", "师傅", "水温", "噪音", "遥控", "插座"),
    "奶品": ("牛奶", "保质期", "口感", "酸奶", "包装盒", "奶粉", "营养"),
    "服装": ("面料", "尺码", "袖子", "掉色", "款式", "裤子", "合身"),
    "电脑": ("键盘", "内存", "显卡", "散热", "开机", "硬盘", "驱动"),
    "酒店": ("房间", "前台", "早餐", "床单", "隔音", "退房", "浴室"),
    "平板": ("触摸", "分辨率", "看剧", "手写笔", "皮套", "画面", "平板电脑"),
}
"""Words by category, in the order of the labels."""
_COMMON: Final = (
    ("今天", "上周", "朋友", "家里人", "自己", "第一次", "又一次", "昨天晚上"),
    ("买的", "收到的", "用的", "看到的", "选的", "问过的", "试过的"),
    ("还可以", "一般", "不错", "不太好", "挺满意", "有点失望", "说不清"),
    ("快递很快", "价格合适", "客服没回", "以后再说", "先这样吧", "值得一提", "等等再看"),
)


@dataclass(frozen=True, slots=True)
class Made:
    """A corpus to be made: the share of each label, and the rows of both halves."""

    shares: tuple[float, ...]
    train: int
    test: int


def make(folder: Path, made: Made, seed: int) -> Path:
    """Write the corpus; equal arguments give equal bytes."""
    (folder / "images").mkdir(parents=True)
    chance = Random(seed)  # noqa: S311 - it writes posts.
    for half, count in (("train", made.train), ("test", made.test)):
        labels = _labels(made.shares, count)
        chance.shuffle(labels)
        rows = [
            _row(folder, f"{half}-{number}", label, len(made.shares), chance)
            for number, label in enumerate(labels)
        ]
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{half}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def _labels(shares: Sequence[float], count: int) -> list[int]:
    edges = np.round(np.cumsum([0.0, *shares]) / sum(shares) * count)
    return [int(np.searchsorted(edges, row, side="right")) - 1 for row in range(count)]


def _row(folder: Path, identity: str, label: int, labels: int, chance: Random) -> dict[str, Any]:
    image = None
    if chance.random() >= WITHOUT_IMAGE_SHARE:
        image = f"images/{identity}.png"
        (folder / image).write_bytes(_picture(_shown(label, labels, chance), chance))
    return {
        "id": identity,
        "text": _text(_shown(label, labels, chance), chance),
        "image": image,
        "label": label,
        "label_name": tuple(WORDS)[label],
    }


def _shown(label: int, labels: int, chance: Random) -> int | None:
    """The category that a modality shows; None where it says nothing."""
    draw = chance.random()
    if draw < _SAYS_NOTHING_SHARE:
        return None
    if draw < _SAYS_NOTHING_SHARE + _OF_ANOTHER_SHARE:
        return chance.choice([other for other in range(labels) if other != label])
    return label


def _text(category: int | None, chance: Random) -> str:
    bounds = _LONG_SENTENCES if chance.random() < LONG_SHARE else _SENTENCES
    sentences = [
        "".join(chance.choice(part) for part in _COMMON) for _ in range(chance.randint(*bounds))
    ]
    own = () if category is None else tuple(WORDS.values())[category]
    for word in chance.sample(own, 2) if own else ():
        place = chance.randrange(len(sentences))
        sentences[place] = f"{word}，{sentences[place]}"
    return "。".join(sentences)


def _picture(category: int | None, chance: Random) -> bytes:
    """A figure of any colour, size, place and tilt on grain."""
    ground = tuple(chance.randint(110, 235) for _ in range(3))
    canvas = Image.new("RGB", (_SIDE * 2, _SIDE * 2), ground)
    if category is not None:
        centre = _SIDE * chance.uniform(0.8, 1.2), _SIDE * chance.uniform(0.8, 1.2)
        size = _SIDE * chance.uniform(0.55, 0.85)
        pen = Pen(ImageDraw.Draw(canvas), centre, size, chance.uniform(-0.5, 0.5))
        red, green, blue = (chance.randint(0, 90) for _ in range(3))
        list(_FIGURES.values())[category](pen, (red, green, blue))
    small = canvas.resize((_SIDE, _SIDE), Image.Resampling.BOX)
    grain = np.random.default_rng(chance.getrandbits(64)).normal(0, 12, (_SIDE, _SIDE, 1))
    worn = np.clip(np.asarray(small, np.float64) + grain, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(worn).save(file, "PNG")
    return file.getvalue()


def _polygon(corners: int) -> Callable[[Pen, Colour], None]:
    return lambda pen, colour: pen.shape(
        arc((0, 0), (0.9, 0.9), 0.2, 0.2 + 2 * pi, corners), colour
    )


def _star(pen: Pen, colour: Colour) -> None:
    points = [
        ((0.95 if n % 2 else 0.35) * cos(n * pi / 5), (0.95 if n % 2 else 0.35) * sin(n * pi / 5))
        for n in range(10)
    ]
    pen.shape(points, colour)


def _ring(pen: Pen, colour: Colour) -> None:
    pen.stroke(arc((0, 0), (0.75, 0.75), 0, 2 * pi), 0.2, colour)


def _strokes(*lines: Sequence[Point]) -> Callable[[Pen, Colour], None]:
    def draw(pen: Pen, colour: Colour) -> None:
        for line in lines:
            pen.stroke(line, 0.28, colour)

    return draw


def _dots(pen: Pen, colour: Colour) -> None:
    for x, y in ((-0.6, 0.5), (0.6, 0.5), (0.0, -0.6)):
        pen.ellipse((x, y), (0.32, 0.32), colour)


_FIGURES: Final[dict[str, Callable[[Pen, Colour], None]]] = {
    "triangle": _polygon(3),
    "square": _polygon(4),
    "disc": _polygon(24),
    "star": _star,
    "ring": _ring,
    "cross": _strokes(((-0.9, 0), (0.9, 0)), ((0, -0.9), (0, 0.9))),
    "bars": _strokes(((-0.8, -0.5), (0.8, -0.5)), ((-0.8, 0.5), (0.8, 0.5))),
    "dots": _dots,
    "corner": _strokes(((-0.7, -0.8), (-0.7, 0.7), (0.8, 0.7))),
    "zigzag": _strokes(((-0.9, 0.5), (-0.3, -0.5), (0.3, 0.5), (0.9, -0.5))),
}
