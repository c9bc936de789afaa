"""The corpora that quality is measured on: real posts where they are to be had, and made ones."""

import json
import os
import random
import shutil
import tarfile
from pathlib import Path
from typing import Any, Final

from schemas.progress import silent
from tuwen.demo_corpus import generate

TEST_DATA: Final = "TUWEN_TEST_DATA"
ARCHIVE: Final = Path("data") / "zh_pairs_dev.tar.gz"
DEMO_POSTS: Final = (4000, 1000)
_LABELS: Final = ("label", "text_label", "image_label")


class NoRealPosts(Exception):
    """The text says what to set."""


def real(folder: Path) -> Path:
    """zh_pairs_dev, unpacked into `folder`. Raises NoRealPosts."""
    root = os.environ.get(TEST_DATA)
    if not root or not (Path(root) / ARCHIVE).is_file():
        raise NoRealPosts(
            f"the real posts are missing: let {TEST_DATA} name the folder of {ARCHIVE}"
        )
    with tarfile.open(Path(root) / ARCHIVE) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    return next((folder / "unpacked").rglob("train.jsonl")).parent


def demo(folder: Path) -> Path:
    """The posts of the demo."""
    generate(folder / "demo", 7, *DEMO_POSTS, silent)
    return folder / "demo"


def permuted(corpus: Path, folder: Path, seed: int) -> Path:
    """The same posts in `folder`, and their three kinds of label permuted, each by itself.

    To permute `label` alone would leave the others to learn from.
    """
    folder.mkdir(parents=True)
    chance = random.Random(seed)  # noqa: S311 - nothing is kept secret by it.
    for half in ("train.jsonl", "test.jsonl"):
        lines = (corpus / half).read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        for name in _LABELS:
            _permute(rows, name, chance)
        for row in rows:
            row.pop("label_name", None)
        written = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / half).write_text("\n".join(written), encoding="utf-8")
    shutil.copytree(corpus / "images", folder / "images")
    return folder


def _permute(rows: list[dict[str, Any]], name: str, chance: random.Random) -> None:
    having = [row for row in rows if row.get(name) is not None]
    values = [row[name] for row in having]
    chance.shuffle(values)
    for row, value in zip(having, values, strict=True):
        row[name] = value
