"""A bundle as large as a trained one, and texts and pictures to send it; its weights are random.

    python -m benchmarks.real_size_bundle FOLDER [RAISES_FOR]

What a post costs does not depend on what the weights say: a compact CNN, 50,000 terms of
words and pairs of words, soft voting over three labels.
"""

import hashlib
import importlib.util
import sys
from collections import Counter
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
import numpy as np
from PIL import Image, ImageDraw

from features.text import terms_of
from inference.wiring import IDS
from schemas.manifest import (
    CONTRACT_VERSION,
    FEATURE_VERSION,
    MANIFEST_FILE,
    Evaluation,
    FileSpec,
    GraphSpec,
    Manifest,
    Parity,
    TextBlock,
)
from schemas.models import MODELS_CONTRACT_VERSION, Models
from train.cnn import image_input

LABELS: Final = ("积极", "中性", "消极")
TERMS: Final = 50_000
TEXTS: Final = 20_000
PHRASES: Final = 4_000
COMMON_WORDS: Final = 30_000
PICTURES: Final = 201
"""No multiple of how many partitions a topic has: else each would have a part of them alone, and a
batch of its posts some pictures twice, which are worked on once."""


def texts(count: int, seed: int) -> list[str]:
    """Chinese texts of 60 to 95 characters: phrases of words as frequent as they are in jieba."""
    phrases = _phrases(Random(0))  # noqa: S311 - no secret. The same for all seeds.
    chance = Random(seed)  # noqa: S311 - no secret.
    return [_text(phrases, chance) for _ in range(count)]


def _text(phrases: Sequence[str], chance: Random) -> str:
    length, text = chance.randint(60, 95), ""
    while len(text) < length:
        text += chance.choice(phrases) + chance.choice("，，，。！")
    return text[:length]


def _phrases(chance: Random) -> list[str]:
    spec = importlib.util.find_spec("jieba")
    assert spec is not None, "jieba comes with the extra `train`"
    assert spec.origin is not None
    lines = Path(spec.origin).with_name("dict.txt").read_text("utf-8").splitlines()
    counted = [(line.split(" ")[0], int(line.split(" ")[1])) for line in lines]
    common = sorted(counted, key=lambda word: -word[1])[:COMMON_WORDS]
    words, weights = zip(*common, strict=True)
    return ["".join(chance.choices(words, weights, k=chance.randint(3, 8))) for _ in range(PHRASES)]


def write_pictures(folder: Path, count: int = PICTURES) -> list[str]:
    """Write 320×240 JPEGs of some 15 kB, as photographs of that size have, and give their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:04}.jpg" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(_picture(np.random.default_rng(number)))
    return names


def _picture(chance: np.random.Generator) -> bytes:
    coarse = chance.integers(0, 255, (12, 16, 3), np.uint8)
    image = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(5):
        x, y, w, h = (int(value) for value in chance.integers(0, 200, 4))
        draw.ellipse((x, y, x + w, y + h), outline=tuple(chance.integers(0, 255, 3).tolist()))
    grain = chance.normal(0, 2, (240, 320, 3))
    grainy = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    written = BytesIO()
    Image.fromarray(grainy).save(written, "JPEG", quality=85)
    return written.getvalue()


def write_bundle(folder: Path, raises_for: str = "") -> None:
    """Write the bundle into a new folder; imports TensorFlow.

    Its text graph fails as it runs, in ONNX Runtime itself, for texts with the word `raises_for`.
    """
    folder.mkdir(parents=True)
    block = TextBlock(name="words", vocabulary=FileSpec("", "", 0), ngrams=(1, 2))
    counted = Counter(term for terms in terms_of(block, texts(TEXTS, 1)) for term in terms)
    vocabulary = [term for term, _ in counted.most_common(TERMS)]
    file = _file(folder, "words.vocabulary.json", msgspec.json.encode(vocabulary))
    block = msgspec.structs.replace(block, vocabulary=file)
    graphs = _graphs(folder, block, vocabulary, raises_for)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(_manifest(block, graphs)))


def _graphs(
    folder: Path, block: TextBlock, vocabulary: Sequence[str], raises_for: str
) -> dict[str, GraphSpec]:
    from export.fusion import soft_voting
    from export.fusion.seam import Parts, fusion_graph
    from export.text_graph import text_graph

    chance = np.random.default_rng(0)
    k, terms = len(LABELS), len(vocabulary)
    weights = {
        "words.idf": chance.uniform(1, 9, terms),
        "coefficients": chance.normal(0, 1, (k, terms)),
        "intercepts": np.zeros(k),
    }
    votes: dict[str, Any] = {"votes": np.ones(2), "A": np.stack([np.eye(k)] * 4)}
    votes |= {"b": np.zeros((4, k)), "text.A": np.eye(k), "text.b": np.zeros(k)}
    votes |= {"image.A": np.eye(k), "image.b": np.zeros(k)}
    parts = Parts(("text", "image"), k, {"text.scores": (k,), "image.scores": (k,)}, folder)
    text = text_graph(_models(block), weights, ["text.scores"])
    models = {
        "text": _without(text, vocabulary.index(raises_for), terms) if raises_for else text,
        "image": _image_graph(folder),
        "fusion": fusion_graph(soft_voting, parts, {}, votes),
    }
    return {name: _graph(folder, f"{name}.onnx", model) for name, model in models.items()}


def _without(model: bytes, term: int, terms: int) -> bytes:
    """Have each number of a term looked up before the graph has it; for `term` there is none."""
    import onnx
    from onnx import helper, numpy_helper

    places = np.arange(terms + 1)
    places[term] = len(places)
    loaded = onnx.load_from_string(model)
    for node in loaded.graph.node:
        for at, name in enumerate(node.input):
            if name == "words" + IDS:
                node.input[at] = "places"
    look_up = helper.make_node("Gather", ["all places", "words" + IDS], ["places"])
    loaded.graph.node.insert(0, look_up)
    loaded.graph.initializer.append(numpy_helper.from_array(places, "all places"))
    found: bytes = loaded.SerializeToString()
    return found


def _image_graph(folder: Path) -> bytes:
    from export.cnn import image_graph
    from train.cnn import SCORES, Heads, build, with_outputs

    saved, image = folder / "image.keras", image_input("compact")
    with_outputs(build("compact", image, Heads(len(LABELS), None))).save(saved)
    model = image_graph(saved, image, [SCORES])
    saved.unlink()
    return model


def _graph(folder: Path, path: str, content: bytes) -> GraphSpec:
    from export.onnx_graph import opsets
    from inference.graph import Graph

    graph = Graph(content)
    opset = opsets(content)
    file = _file(folder, path, content)
    return GraphSpec(file, opset[""], tuple(sorted(opset)), graph.inputs, graph.outputs)


def _file(folder: Path, path: str, content: bytes) -> FileSpec:
    (folder / path).write_bytes(content)
    return FileSpec(path, hashlib.sha256(content).hexdigest(), len(content))


def _models(block: TextBlock) -> Models:
    return Models(
        contract=MODELS_CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        labels=LABELS,
        modalities=("text", "image"),
        strategies=("soft-voting",),
        chosen="soft-voting",
        text=(block,),
        sublinear_tf=True,
        image=image_input("compact"),
        artefacts=(),
        settings={},
        versions={},
        seed=0,
        corpus_path="",
        corpus_sha256="",
        folds=0,
    )


def _manifest(block: TextBlock, graphs: dict[str, GraphSpec]) -> Manifest:
    nothing = dict.fromkeys(("text", "image", "fused"), 0.0)
    return Manifest(
        contract=CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        name="random-weights",
        version="1",
        labels=LABELS,
        modalities=("text", "image"),
        strategy="soft-voting",
        graphs=graphs,
        text=(block,),
        image=image_input("compact"),
        evaluation=Evaluation(0, nothing, nothing, 0.0),
        parity=Parity((), 0, 0, 0, 0, 0),
        settings={},
        versions={},
        seed=0,
        corpus_sha256="",
    )


if __name__ == "__main__":
    write_bundle(Path(sys.argv[1]), *sys.argv[2:])
