"""A models folder as training would write it: small, quickly trained, and by other means.

The reference comes from scikit-learn, Keras and jieba themselves, so that export is compared with
what it stands for, and not with this project's own arithmetic.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import jieba
import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from features.images import ImageLimits, ImageProblem, decode
from features.text import clean
from schemas.manifest import FEATURE_VERSION, Evaluation, FileSpec, ImageInput, TextBlock
from schemas.models import MODELS_CONTRACT_VERSION, Models, ReferenceRow

LABELS: Final = ("积极", "中性", "消极")
IMAGE: Final = ImageInput(height=16, width=16)
NO_FILE: Final = FileSpec("", "", 0)
BLOCKS: Final = (
    TextBlock(name="words", vocabulary=NO_FILE, ngrams=(1, 2)),
    TextBlock(name="characters", vocabulary=NO_FILE, analyzer="char", ngrams=(1, 3)),
)
STRATEGIES: Final = ("soft-voting", "concatenation")
_WORDS: Final = (
    ("好", "喜欢", "满意", "推荐", "干净"),
    ("一般", "普通", "还行", "平常", "凑合"),
    ("差", "失望", "糟糕", "脏", "退货"),
)
_FILLER: Final = (
    "房间",
    "服务",
    "味道",
    "今天",
    "我们",
    "真的",
    "非常",
    "，",
    "。",
    "iPhone-15",
    "3.5",
)
_EMBEDDING: Final = 6
_LIMITS: Final = ImageLimits(1 << 20, 1 << 20)

Floats = NDArray[np.float64]


class Small:
    """Rows, what was fitted on them, and the folders `corpus` and `models` beneath `root`."""

    def __init__(self, root: Path, rows: int = 120) -> None:
        self.corpus, self.models = root / "corpus", root / "models"
        self._random = np.random.default_rng(7)
        self.labels = self._random.integers(0, len(LABELS), rows)
        self.texts = [self._text(label) for label in self.labels]
        (self.corpus / "images").mkdir(parents=True)
        self.images = [self._image(number, label) for number, label in enumerate(self.labels)]

    def _text(self, label: int) -> str:
        words = [*self._random.choice(_FILLER, 6), *self._random.choice(_WORDS[label], 3)]
        return " ".join(self._random.permutation(words))

    def _image(self, number: int, label: int) -> str:
        pixels = self._random.integers(0, 90, (20, 24, 3)) + 80 * label
        name = f"images/{number}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(self.corpus / name)
        return name


def write_small_models(root: Path) -> Small:
    """Train, write `root/models`, and say what it was made from."""
    small = Small(root)
    rows = [
        ReferenceRow(f"row-{n}", text, image, "evaluation")
        for n, (text, image) in enumerate(zip(small.texts, small.images, strict=True))
    ]
    rows[0::7] = [msgspec.structs.replace(row, image=None) for row in rows[0::7]]
    rows[1::7] = [msgspec.structs.replace(row, text=None) for row in rows[1::7]]
    rows += _adversarial(small.models / "reference" / "images")
    present = np.array([(bool(r.text and r.text.strip()), r.image is not None) for r in rows])
    text_scores, embedding = _text_model(small, rows)
    image_scores = _image_model(small, rows)
    scores = {
        "text.scores": _absent(text_scores, present[:, 0]),
        "text.embedding": _absent(embedding, present[:, 0]),
        "image.scores": _absent(image_scores, present[:, 1]),
    }
    scores["soft-voting.scores"] = _soft_voting(small, scores, present)
    votes = present * np.array([0.6, 0.4])
    scores["soft-voting.weights"] = votes / votes.sum(axis=1, keepdims=True)
    scores["concatenation.scores"] = _concatenation(small, scores, present)
    _write_reference(small, rows, {**scores, "present": present})
    _write_models(small)
    return small


def _adversarial(folder: Path) -> list[ReferenceRow]:
    folder.mkdir(parents=True)
    pictures = {
        "blank.png": Image.new("RGB", (30, 30), "white"),
        "grey.jpg": Image.new("L", (64, 40), 90),
        "cmyk.jpg": Image.new("CMYK", (50, 50), (10, 90, 30, 5)),
        "clear.png": Image.new("RGBA", (9, 9), (200, 0, 0, 100)),
        "dot.png": Image.new("RGB", (1, 1), "red"),
    }
    for name, picture in pictures.items():
        picture.save(folder / name)
    texts = ["好", "😀😀", "𠀀䶵㐀", "差" * 500, "qwxz zxwq", "3.14-abc_d.e%", "\u3000a\tb\r\nc"]
    return [
        *(ReferenceRow(f"text-{n}", t, None, "adversarial") for n, t in enumerate(texts)),
        *(ReferenceRow(f"image-{n}", " ", n, "adversarial", "reference") for n in pictures),
    ]


def _absent(values: Floats, present: NDArray[np.bool_]) -> Floats:
    return np.where(present[:, None], values, np.nan)


def _words(text: str) -> list[str]:
    return [word for word in jieba.lcut(text) if not word.isspace()]


def _vectorisers() -> list[TfidfVectorizer]:
    common: dict[str, Any] = {"lowercase": False, "sublinear_tf": True, "dtype": np.float64}
    return [
        TfidfVectorizer(tokenizer=_words, token_pattern=None, ngram_range=(1, 2), **common),
        TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **common),
    ]


def _text_model(small: Small, rows: Sequence[ReferenceRow]) -> tuple[Floats, Floats]:
    """Fit scikit-learn's vectorisers and LinearSVC, write them, and score the reference."""
    folder = small.models / "text"
    folder.mkdir()
    vectorisers = _vectorisers()
    arrays: dict[str, Floats] = {}
    counts: dict[str, Any] = {}
    fitted: list[Floats] = []
    wanted: list[Floats] = []
    for block, vectoriser in zip(BLOCKS, vectorisers, strict=True):
        fitted.append(vectoriser.fit_transform([clean(block, t) for t in small.texts]).toarray())
        held = [row.text if row.text and row.text.strip() else "" for row in rows]
        cleaned = [clean(block, text) for text in held]
        wanted.append(vectoriser.transform(cleaned).toarray())
        counted = CountVectorizer.transform(vectoriser, cleaned).sorted_indices()
        counts[f"{block.name}.lengths"] = np.diff(counted.indptr)
        counts |= {f"{block.name}.ids": counted.indices, f"{block.name}.counts": counted.data}
        arrays[f"{block.name}.idf"] = vectoriser.idf_
        terms = vectoriser.get_feature_names_out().tolist()
        (folder / f"{block.name}.vocabulary.json").write_bytes(msgspec.json.encode(terms))
    svm = LinearSVC(C=0.3).fit(np.hstack(fitted), small.labels)
    embedding = np.random.default_rng(3).normal(size=(svm.coef_.shape[1], _EMBEDDING))
    arrays |= {"coefficients": svm.coef_, "intercepts": svm.intercept_, "embedding": embedding}
    save_arrays(folder / "model.npz", arrays)
    save_arrays(small.models / "reference" / "features.npz", counts)
    tf_idf = np.hstack(wanted)
    return svm.decision_function(tf_idf), tf_idf @ embedding


def _image_model(small: Small, rows: Sequence[ReferenceRow]) -> Floats:
    from export.tensorflow_import import tensorflow

    tensorflow()
    import keras

    keras.utils.set_random_seed(5)
    pixels = np.stack([_pixels(small.corpus / name) for name in small.images]).astype(np.float32)
    inputs = keras.Input((16, 16, 3), name="pixels")
    layer = keras.layers.Rescaling(1 / 255)(inputs)
    layer = keras.layers.Conv2D(4, 3, activation="relu")(layer)
    layer = keras.layers.Flatten()(keras.layers.MaxPooling2D()(layer))
    outputs = {"image.scores": keras.layers.Dense(len(LABELS))(layer)}
    model = keras.Model(inputs, outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", {"image.scores": loss})
    model.fit(pixels, {"image.scores": small.labels}, epochs=3, verbose=0)
    (small.models / "image").mkdir()
    model.save(small.models / "image" / "model.keras")
    own = small.models / "reference" / "images"
    batch = np.zeros((len(rows), 16, 16, 3), np.float32)
    for number, row in enumerate(rows):
        if row.image is not None:
            folder = small.corpus if row.image_in == "corpus" else own
            batch[number] = _pixels(folder / row.image)
    found: Floats = model.predict(batch, verbose=0)["image.scores"].astype(np.float64)
    return found


def _pixels(file: Path) -> NDArray[np.uint8]:
    pixels = decode(file.read_bytes(), IMAGE, _LIMITS)
    assert not isinstance(pixels, ImageProblem)
    return pixels


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _calibrated(values: Floats, a: Floats, b: Floats, present: NDArray[np.bool_]) -> Floats:
    pattern = present @ np.array([1, 2])
    return _softmax(np.einsum("ni,nik->nk", values, a[pattern]) + b[pattern])


def _soft_voting(small: Small, scores: dict[str, Floats], present: NDArray[np.bool_]) -> Floats:
    random = np.random.default_rng(11)
    labels = len(LABELS)
    weights: dict[str, Floats] = {"votes": np.array([0.6, 0.4])}
    for modality in ("text", "image"):
        weights[f"{modality}.A"] = np.eye(labels) * 2 + random.normal(size=(labels, labels)) / 5
        weights[f"{modality}.b"] = random.normal(size=labels) / 5
    weights["A"] = np.stack([np.eye(labels)] * 3 + [np.eye(labels) * 1.7])
    weights["b"] = np.stack([np.zeros(labels)] * 3 + [random.normal(size=labels) / 10])
    shares = np.zeros((len(present), labels))
    for column, modality in enumerate(("text", "image")):
        raw = np.nan_to_num(scores[f"{modality}.scores"])
        probabilities = _softmax(raw @ weights[f"{modality}.A"] + weights[f"{modality}.b"])
        shares += probabilities * (weights["votes"][column] * present[:, [column]])
    vote = shares / (present @ weights["votes"])[:, None]
    _write_strategy(small, "soft-voting", {}, weights)
    return _calibrated(np.log(np.maximum(vote, 1e-12)), weights["A"], weights["b"], present)


def _concatenation(small: Small, scores: dict[str, Floats], present: NDArray[np.bool_]) -> Floats:
    names = ["text.embedding", "text.scores", "image.scores"]
    features = np.hstack([np.nan_to_num(scores[name]) for name in names])
    complete = np.flatnonzero(present.all(axis=1))
    truth = small.labels[complete]
    scaler = StandardScaler().fit(features[complete])
    scaled = scaler.transform(features)
    gamma = 1 / scaled.shape[1]
    machines = [
        SVC(C=2.0, gamma=gamma).fit(scaled[complete], truth == label)
        for label in range(len(LABELS))
    ]
    margins = np.stack([machine.decision_function(scaled) for machine in machines], axis=1)
    random = np.random.default_rng(13)
    a = random.normal(size=(4, 9, 3)) / 3
    a[1, 6:], a[2, 3:6], a[:3, :3] = 0, 0, 0
    weights = {
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "support_vectors": np.vstack([machine.support_vectors_ for machine in machines]),
        "coefficients": _side_by_side([machine.dual_coef_[0] for machine in machines]),
        "intercepts": np.array([machine.intercept_[0] for machine in machines]),
        "A": a,
        "b": random.normal(size=(4, 3)) / 5,
    }
    _write_strategy(small, "concatenation", {"features": names, "gamma": gamma}, weights)
    raw = [np.nan_to_num(scores[f"{modality}.scores"]) for modality in ("text", "image")]
    return _calibrated(np.hstack([margins, *raw]), a, weights["b"], present)


def _side_by_side(rows: Sequence[Floats]) -> Floats:
    """One row by machine; each machine counts its own support vectors alone."""
    matrix = np.zeros((len(rows), sum(map(len, rows))))
    start = 0
    for number, row in enumerate(rows):
        matrix[number, start : start + len(row)] = row
        start += len(row)
    return matrix


def _write_strategy(
    small: Small, name: str, settings: dict[str, Any], weights: dict[str, Floats]
) -> None:
    folder = small.models / "fusion" / name
    folder.mkdir(parents=True)
    (folder / "strategy.json").write_bytes(msgspec.json.encode(settings))
    save_arrays(folder / "weights.npz", weights)


def _write_reference(
    small: Small, rows: Sequence[ReferenceRow], arrays: dict[str, NDArray[Any]]
) -> None:
    folder = small.models / "reference"
    tokens = [None if row.text is None else jieba.lcut(clean(BLOCKS[0], row.text)) for row in rows]
    encode = msgspec.json.Encoder().encode_lines
    (folder / "rows.jsonl").write_bytes(encode(list(rows)))
    (folder / "tokens.jsonl").write_bytes(encode(tokens))
    save_arrays(folder / "scores.npz", arrays)


def _write_models(small: Small) -> None:
    models = Models(
        contract=MODELS_CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        labels=LABELS,
        modalities=("text", "image"),
        strategies=STRATEGIES,
        chosen="soft-voting",
        text=BLOCKS,
        sublinear_tf=True,
        image=IMAGE,
        artefacts=(),
        settings={},
        versions={},
        seed=7,
        corpus_path=str(small.corpus),
        corpus_sha256="",
        folds=0,
    )
    (small.models / "models.json").write_bytes(msgspec.json.encode(models))
    parts = dict.fromkeys(("text", "image", "fused"), 0.5)
    evaluation = Evaluation(len(small.texts), parts, parts, 0.4)
    found = dict.fromkeys(STRATEGIES, evaluation)
    (small.models / "evaluation.json").write_bytes(msgspec.json.encode(found))


def save_arrays(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """An npz file of these arrays."""
    np.savez(file, allow_pickle=False, **arrays)


def edit_weight(folder: Path, file: str, name: str, change: Callable[[Any], None]) -> None:
    """Change one array of an npz file in place."""
    path = folder / file
    with np.load(path, allow_pickle=False) as arrays:
        held = {key: arrays[key].copy() for key in arrays.files}
    change(held[name])
    save_arrays(path, held)
