"""The models folder: what training hands to export, as files; never a pickle.

    MODELS/
      models.json                     `Models`, below
      text/<block>.vocabulary.json    list of terms, the index is the column
      text/model.npz                  `<block>.idf` float64[V], `coefficients` float64[Kt,ΣV],
                                      `intercepts` float64[Kt]; optionally
                                      `embedding` float64[ΣV,D] (embedding = tf-idf @ embedding)
      image/model.keras               input uint8 or float32 0..255 [N,H,W,C] → named outputs
                                      `image.scores` logits [N,Ki] (and `image.embedding` [N,D])
      fusion/<strategy>/strategy.json settings of the strategy's own, as JSON
      fusion/<strategy>/weights.npz   its arrays, as JSON and npz read them without pickle
      oof.npz                         `ids`, `folds`, `labels`, `text.scores`, `image.scores`
      evaluation.json                 `schemas.manifest.Evaluation`, by strategy
      reference/rows.jsonl            the gate's rows: id, text, image (path beneath the corpus,
                                      or beneath `reference/images/`), `set` evaluation|adversarial
      reference/tokens.jsonl          per row the list of tokens that jieba itself cuts, null
                                      where there is no text
      reference/scores.npz            per stage float64, rows in the order of rows.jsonl, NaN where
                                      a modality is absent: `text.scores`, `image.scores`,
                                      `text.embedding` and `image.embedding` where they exist,
                                      `<strategy>.scores` [N,K] published probabilities,
                                      `present` bool[N,M]

Text weights: tf = count, or 1 + ln(count) where `sublinear_tf`; x = tf·idf over all blocks'
columns, each block divided by its own l2 norm; raw scores = x @ coefficients.T + intercepts.
With two labels Kt = 1 and a positive score speaks for labels[1].
"""

from typing import Any, Final

import msgspec

from schemas.manifest import ImageInput, Strict, TextBlock
from schemas.verdict import Modality

MODELS_CONTRACT_VERSION: Final = 1
MODELS_FILE: Final = "models.json"


class Artefact(Strict, frozen=True):
    """A fitted thing and the ids of the rows that it was fitted on."""

    name: str
    fitted_rows: tuple[str, ...]


class Models(Strict, frozen=True):
    """What was trained, on what, and how. File hashes of vocabularies are empty before export."""

    contract: int
    feature_version: int
    labels: tuple[str, ...]
    modalities: tuple[Modality, ...]
    strategies: tuple[str, ...]
    chosen: str
    text: tuple[TextBlock, ...]
    sublinear_tf: bool
    image: ImageInput | None
    artefacts: tuple[Artefact, ...]
    settings: dict[str, Any]
    versions: dict[str, str]
    seed: int
    corpus_path: str
    corpus_sha256: str
    folds: int
    learning_curve: tuple[dict[str, float], ...] = msgspec.field(default=())
