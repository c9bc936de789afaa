"""The bundle's manifest: all that serving must know, preprocessing included.

A bundle is a folder: `manifest.json`, `text.onnx`, `image.onnx`, `fusion.onnx`, vocabularies and
user words. A field that is not declared here does not exist for the code that serves.
"""

from typing import Any, Final, Literal

import msgspec

from schemas.verdict import Modality

CONTRACT_VERSION: Final = 1
FEATURE_VERSION: Final = 2
"""Raised whenever `features` turns the same bytes or string into other arrays."""

RUN_CHARACTERS_MAX: Final = 8

HASHED_COLUMNS_MAX: Final = 2**20
"""Columns of a block that hashes: scikit-learn's default, 4 MB of the graph for each raw score."""

MANIFEST_FILE: Final = "manifest.json"


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An unknown field is an error: a newer bundle must not be half understood."""


class FileSpec(Strict, frozen=True):
    """A file of the bundle, by its path beneath the bundle's folder."""

    path: str
    sha256: str
    bytes: int


class TensorSpec(Strict, frozen=True):
    """A tensor: ONNX Runtime's name of its type, and its shape, free dimensions by name."""

    dtype: str
    shape: tuple[int | str, ...]


class GraphSpec(Strict, frozen=True):
    """One ONNX graph: its file, and the tensors by name."""

    file: FileSpec
    opset: int
    domains: tuple[str, ...]
    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


class Hashing(Strict, frozen=True):
    """A term's column by its hash, as scikit-learn's HashingVectorizer has it.

    h is the MurmurHash3 (x86, 32 bits, seed 0, signed) of the term's UTF-8, and |h| % columns its
    column. Terms of one column add up; with `alternate_sign` a term of h < 0 counts -1 each time,
    so that a count may be 0 or less.
    """

    columns: int
    alternate_sign: bool = True


class TextBlock(Strict, frozen=True):
    """One vectoriser: strings to `<name>.ids` int64[N,T] and `<name>.counts` float32[N,T].

    Its columns are those of a vocabulary, or of hashing: one of the two is there.
    The steps in their order: lowercase, white space (each run becomes one space), accents
    stripped, runs of one character cut to `run_characters_max`, of Han (U+4E00 to U+9FD5) to
    `han_run_characters_max`, then the analyzer, then n-grams.
    """

    name: str
    vocabulary: FileSpec | None
    lowercase: bool = True
    collapse_white_space: bool = True
    strip_accents: bool = False
    run_characters_max: int = RUN_CHARACTERS_MAX
    han_run_characters_max: int = 2
    analyzer: Literal["words", "char", "char_wb", "pattern"] = "words"
    cutter: str = "rjieba"
    cutter_version: str = ""
    hmm: bool = True
    user_words: FileSpec | None = None
    token_pattern: str | None = None
    stop_words: tuple[str, ...] = ()
    ngrams: tuple[int, int] = (1, 1)
    cut_first: bool = False
    """Of `words`: the text is cut before it is lowercased and its accents stripped, and the units
    are what `token_pattern` finds in each word: what scikit-learn makes of words joined by spaces.
    """
    hashing: Hashing | None = None


class TokensInput(Strict, frozen=True):
    """The first `length` known units of a text in their order, as `tokens.ids` int64[N,length].

    The ids are the block's; a unit is known when it is a term by itself, and id V fills up.
    """

    block: str
    length: int


class ImageInput(Strict, frozen=True):
    """How bytes become `pixels` uint8[N,H,W,C]; scaling to floats is in the graph."""

    height: int
    width: int
    channels: Literal[1, 3] = 3
    colours: Literal["RGB", "L"] = "RGB"
    resize_filter: Literal["bilinear", "box", "bicubic", "lanczos"] = "bilinear"
    fit: Literal["stretch", "crop", "letterbox"] = "stretch"
    apply_exif: bool = True
    alpha_ground: tuple[int, int, int] = (255, 255, 255)
    decoder: str = "simplejpeg+pillow"
    decoder_version: str = ""


class Evaluation(Strict, frozen=True):
    """Accuracy on rows that no part of the bundle was fitted on.

    Where `labels_from` has the test half, all of it is agreement with lexicons.
    """

    rows: int
    accuracy: dict[str, float]
    """By what was used: `text`, `image`, `fused`; the last on complete posts."""
    calibration_error: dict[str, float]
    """Expected calibration error, 15 bins of equal width; the same keys."""
    baseline: float
    """Accuracy of always giving the most frequent label."""


class LexiconUsed(Strict, frozen=True):
    """A lexicon that gave labels: its name, file, number of words, and share of texts it labels."""

    name: str
    sha256: str
    words: int
    coverage: float


class LabelsFrom(Strict, frozen=True):
    """Lexicons that gave the labels of a corpus, instead of people.

    `halves` are those that have such labels: figures on them are agreement with the lexicons, not
    accuracy. `rule` are the settings by which texts were read, and `coverage` is the share of the
    texts that got a label.
    """

    lexicons: tuple[LexiconUsed, ...]
    rule: dict[str, Any]
    halves: tuple[Literal["train", "test"], ...]
    coverage: float


class ParityFigure(Strict, frozen=True):
    """One stage of the gate: what `inference` gave against what training wrote down."""

    stage: str
    rows: int
    max_abs: float
    tolerance: float


class Parity(Strict, frozen=True):
    """The gate's figures. `undecidable` rows are nearer to a tie than twice the tolerance."""

    figures: tuple[ParityFigure, ...]
    rows: int
    adversarial_rows: int
    tokens_compared: int
    labels_differing: int
    undecidable: int


class Manifest(Strict, frozen=True):
    """All of it. `labels` is the column order of `scores`; label = argmax, the first wins."""

    contract: int
    feature_version: int
    name: str
    version: str
    labels: tuple[str, ...]
    modalities: tuple[Modality, ...]
    strategy: str
    graphs: dict[str, GraphSpec]
    text: tuple[TextBlock, ...]
    image: ImageInput | None
    evaluation: Evaluation
    parity: Parity
    settings: dict[str, Any]
    versions: dict[str, str]
    seed: int
    corpus_sha256: str
    tokens: TokensInput | None = None
    """Where a strategy attends to single words."""
    labels_from: LabelsFrom | None = None
    """Where the labels did not come from people."""
