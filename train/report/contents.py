"""The figures of a report: what report.json holds, and the page shows, in the page's order."""

from typing import Literal

import msgspec

from inference.judging import Accuracy, LabelFigures
from schemas.manifest import LabelsFrom, Parity
from schemas.models import ComparedStrategy

Use = Literal["text", "image", "fused"]
"""What a post was labelled by."""


class Figures(msgspec.Struct, frozen=True):
    """Base of all below."""


class HalfFigures(Figures, frozen=True):
    """The rows of a half by what they have, and by label."""

    rows: int
    complete: int
    text_only: int
    image_only: int
    labels: dict[str, int]


class Origin(Figures, frozen=True):
    """What was trained on what, and how."""

    models: str
    corpus: str
    corpus_sha256: str
    train: HalfFigures
    test: HalfFigures
    labels: tuple[str, ...]
    strategies: tuple[str, ...]
    chosen: str
    seed: int
    settings: dict[str, object]
    versions: dict[str, str]
    labels_from: LabelsFrom | None = None
    """With the test half in its `halves`, every accuracy of the report is agreement."""


class Bin(Figures, frozen=True):
    """Posts whose confidence lies between two bounds: how confident, and how often right."""

    low: float
    high: float
    rows: int
    confidence: float | None
    accuracy: float | None


class UseFigures(Figures, frozen=True):
    """A strategy on the complete test posts, by some of what they have.

    `confusion[i][j]` counts the posts of label i that were given label j.
    """

    accuracy: Accuracy
    macro_f1: float
    calibration_error: float
    confusion: tuple[tuple[int, ...], ...]
    bins: tuple[Bin, ...]
    labels: tuple[LabelFigures, ...]


class Shares(Figures, frozen=True):
    """How the weight of one modality spreads over complete test posts."""

    modality: str
    low: float
    """5 % of the posts have less."""
    median: float
    high: float
    """5 % of the posts have more."""


class Speed(Figures, frozen=True):
    """µs of one core for a post with text and image, `batch` at a time, as served."""

    posts: int
    batch: int
    decoding: float
    features: float
    scores: float

    @property
    def total(self) -> float:
        """All three."""
        return self.decoding + self.features + self.scores


class Served(Figures, frozen=True):
    """A bundle of one of the strategies: whether it gives what was trained, its size, its speed."""

    name: str
    version: str
    strategy: str
    parity: Parity
    bytes: dict[str, int]
    speed: Speed | None


class StrategyFigures(Figures, frozen=True):
    """One strategy. `as_sent` is by whatever each test post has."""

    strategy: str
    compared: ComparedStrategy | None
    uses: dict[Use, UseFigures]
    as_sent: Accuracy
    weights: tuple[Shares, ...]


class Epoch(Figures, frozen=True):
    """The CNN after one pass, on images that it does not learn from."""

    epoch: int
    loss: float
    accuracy: float


class Said(Figures, frozen=True):
    """A label with its score."""

    label: str
    score: float


class WrongPost(Figures, frozen=True):
    """A test post that was labelled wrongly. `alone` is what each modality by itself says."""

    id: str
    text: str | None
    image: str | None
    label: str
    said: Said
    alone: dict[Use, Said]


class Suspect(Figures, frozen=True):
    """A training post whose label others' models do not believe; `score` is what is left of it."""

    id: str
    text: str | None
    image: str | None
    label: str
    score: float
    said: Said


class Suspects(Figures, frozen=True):
    """How many of the judged rows are suspected, and the least believed of them."""

    judged: int
    suspected: int
    shown: tuple[Suspect, ...]


class Keyword(Figures, frozen=True):
    """A word with its weight; `shared` where it stands among those of another label too."""

    word: str
    weight: float
    shared: bool


class LabelKeywords(Figures, frozen=True):
    """The words of a label's texts with the most weight."""

    label: str
    texts: int
    words: tuple[Keyword, ...]


class Report(Figures, frozen=True):
    """All of it. `strategies` are the chosen one first, then as they were trained."""

    origin: Origin
    strategies: tuple[StrategyFigures, ...]
    baseline: float
    """Accuracy of always giving the most frequent label, on complete test posts."""
    learning_curve: tuple[Epoch, ...]
    wrong: tuple[WrongPost, ...]
    suspects: Suspects
    keywords: tuple[LabelKeywords, ...]
    served: tuple[Served, ...]

    @property
    def chosen(self) -> StrategyFigures:
        """The strategy that is exported."""
        return self.strategies[0]
