"""Corpora of a few rows, written by tests."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def write_corpus(folder: Path, train: list[dict[str, Any]], test: list[dict[str, Any]]) -> Path:
    """The two files; images are the test's own matter."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for half, rows in (("train", train), ("test", test)):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{half}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder


def write_image(folder: Path, name: str, seed: int) -> str:
    """A small picture; gives its path beneath the corpus."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    (folder / "images" / name).write_bytes(file.getvalue())
    return f"images/{name}"


def row(identity: str, label: int = 0, **fields: Any) -> dict[str, Any]:
    """A row with a text of its own."""
    return {"id": identity, "text": f"文字{identity}", "image": None, "label": label} | fields


def good_corpus(folder: Path) -> Path:
    """Two labels, one image in each half."""
    train = [row("a", 0), row("b", 1, image=write_image(folder, "b.png", 1))]
    test = [row("c", 0, image=write_image(folder, "c.png", 2)), row("d", 1)]
    return write_corpus(folder, train, test)
