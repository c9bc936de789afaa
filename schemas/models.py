"""The models folder: what training hands to export, as files; never a pickle.

    MODELS/
      models.json                     `Models`, below
      text/<block>.vocabulary.json    list of terms, the index is the column; none of a block that
                                      hashes, whose V are its columns
      text/user_words.json            where a block names it: lines `word frequency` as the cutter
                                      of serving takes them. A word that jieba's list has counts
                                      once into rjieba's total, and twice into jieba's; what lacks
                                      is the frequency of U+FDD1, in the last line
      text/model.npz                  `<block>.idf` float64[V], `coefficients` float64[Kt,ΣV],
                                      `intercepts` float64[Kt]; optionally
                                      `embedding` float64[ΣV,D] (embedding = tf-idf @ embedding)
                                      and `tokens` float64[V,D], a row for each term of the block
                                      that `Models.tokens` names
      text/rest.skops                 where `Models.rest` is set: what a brought pipeline does after
                                      its sums, a fitted scikit-learn Pipeline as skops writes it;
                                      of its types those that skops itself does not trust are in
                                      `REST_TYPES`
      image/model.keras               input uint8 or float32 0..255 [N,H,W,C] → named outputs
                                      `image.scores` logits [N,Ki] (and `image.regions` [N,R,C])
      fusion/<strategy>/strategy.json settings of the strategy's own, as JSON
      fusion/<strategy>/weights.npz   its arrays, as JSON and npz read them without pickle
      oof.npz                         `ids`, `folds`, `labels`, `text.scores`, `image.scores`
      test.npz                        the test half: `ids`, `labels`, `present` bool[N,M], and
                                      `<strategy>.text`, `.image`, `.fused` float64[N,K]: what is
                                      published of a post with just those modalities, NaN where it
                                      lacks one; `<strategy>.weights` [N,M] of what it has
      evaluation.json                 `schemas.manifest.Evaluation`, by strategy
      report.html, report.json        what there is to know of all this, by `tuwen train`
      reference/rows.jsonl            the gate's rows, one `ReferenceRow` a line
      reference/tokens.jsonl          per row what jieba itself gives, `jieba.lcut(clean(block,
                                      text), HMM=block.hmm)`, white space included, for the first
                                      block whose analyzer is `words`, with its user words; null
                                      where the text is absent or no block cuts words
      reference/features.npz          by block what scikit-learn counts: `<block>.lengths` int32[N],
                                      0 where the text is absent, and row after row `<block>.ids`
                                      int32, ascending, and `<block>.counts` int32, of hashed
                                      terms the sum of their signs
      reference/scores.npz            per stage float64, rows in the order of rows.jsonl, NaN where
                                      a modality is absent; `wide` int64[W] are the places of the
                                      rows that `WIDE` tensors are of, by default all:
                                      `text.scores`, `image.scores`, `text.embedding`,
                                      `text.tokens` and `text.mask` where they exist,
                                      `<strategy>/image.scores` and
                                      `<strategy>/image.regions` of a CNN of its own,
                                      `<strategy>.scores` [N,K] published probabilities,
                                      `<strategy>.weights` [N,M] and `<strategy>.gaps` [N] where
                                      it has them, `present` bool[N,M]

Text weights: tf = count, or 1 + ln(count) where `sublinear_tf`, or 1 where `binary_tf`; x = tf·idf
over all blocks' columns, each block divided by its own norm, `text_norm`; raw scores =
x @ coefficients.T + intercepts. With two labels Kt may be 1, and a positive score speaks for
labels[1]. A brought pipeline that calibrates has `slopes` float64[F,Km] and `offsets` besides, F
classifiers of Km margins each: p_f = sigmoid(-(slopes·margins + offsets)), of one margin 1 - p_f
and p_f, of several divided by their sum; raw scores = ln max(mean of p_f, 1e-7) [N,K].
Of one that is not linear `coefficients` float64[D,V] and `intercepts` float64[D] give the features
x @ coefficients.T + intercepts of text/rest.skops, in float64, and `order` int64[K] the place of
each label among its classes; raw scores are its `margins` (its decision function, of two labels
[N,1] as above, of an SVC of more by pair in the order of the classes), or its `probabilities`,
ln max(p, 1e-7) [N,K].

A text is present when `Post.has_text` says so. The adversarial rows are texts (empty, one
character, emoji, odd Han, 10,000 characters, all unknown words) and images (blank, tiny, huge,
grey, CMYK, transparent), alone and together, and texts of the corpus, altered. The paired rows are
texts of user words, and of training rows, with pictures of test rows.

Fusion weights, K labels, M modalities in the order of `Models.modalities`. A row's pattern is
the sum of 2^m over its modalities m that are present, P = 2^M; what is absent counts as 0.
  softmax(x, A, b) = softmax over labels of x @ A[pattern] + b[pattern]
`soft-voting`, weights.npz:
  `text.A` [Kt,K], `text.b` [K], `image.A` [Ki,K], `image.b` [K]: each modality's calibration,
  probabilities p_m = softmax(raw scores @ A + b); `votes` [M]: vote = Σ votes_m·p_m / Σ votes_m
  over what is present; `A` [P,K,K], `b` [P,K]: published = softmax(ln max(vote, 1e-12), A, b).
  With one modality A = 1 and b = 0: the answer is that modality's own calibrated score.
`concatenation`, strategy.json {"features": [tensor names in their order], "gamma": float} and
weights.npz:
  x = the features side by side, `mean` [D], `scale` [D] of a StandardScaler, `support_vectors`
  [S,D] (standardised), `coefficients` [Km,S], `intercepts` [Km]:
  margin = exp(-gamma·|x - support vector|²) @ coefficients.T + intercepts
  `A` [P,Km+Kt+Ki,K], `b` [P,K]: published = softmax([margin, text.scores, image.scores], A, b)
  in the order of `modalities`, so that one modality alone is answered from its own scores.
`ensemble`, strategy.json {"features": [the raw scores in their order]} and weights.npz:
  `A` [P,ΣKm,K], `b` [P,K]: published = softmax(raw scores side by side, A, b).
`voting`, weights.npz: the modalities' calibrations as `soft-voting` has them, and `temperatures`
  [P,M+1]: winner = the label with most votes, of several the one with the most confident voter;
  published = softmax(temperatures[pattern, voters of the winner] · ln max(mean, 1e-12)), where
  mean is that of p_m over the voters of the winner. `gaps`: the least of what each voter's two
  likeliest labels, and the two highest ranks, are apart; infinite where nothing was compared.
`weighted-average`, strategy.json {"features": […]} and weights.npz: `mean` [D], `scale` [D], by
  modality `<modality>.projection` [D,S], `weights` [M], `head` [S,K], `offset` [K]:
  logits = Σ weights_m·(x @ projection_m) / Σ weights_m @ head + offset, over what is present;
  `A` [P,K+ΣKm,K], `b` [P,K]: published = softmax([logits, raw scores of all modalities], A, b).
`multi-task`, strategy.json {"features": [inputs of the head]}, weights.npz and head.keras, a Keras
  model from those inputs float32, zeros where absent, and `present` float32 [N,M] to logits by
  target: `label` [N,K], and `text`, `image` where the corpus says what those show themselves;
  `A` [P,K+ΣKm,K], `b` [P,K]: published = softmax([label, raw scores of all modalities], A, b).
`attention`, strategy.json {"features": [inputs of the head], "scores": [raw scores]}, weights.npz
  and head.keras: `base.A` [P,ΣKm,K], `base.b` [P,K] as of `ensemble`, before its softmax:
  base = raw scores @ base.A[pattern] + base.b[pattern]; the head takes those inputs, `base` and
  `present`, and gives `label` [N,K] and `weights` [N,M]; `A`, `b` as of `multi-task`.
Weights by modality, which sum to 1 over what is present: of `soft-voting` and `weighted-average`
  votes_m and weights_m over their sum, of `voting` equal shares of the voters of the winner, of
  `attention` the shares of words and regions in what is attended to.
"""

from typing import Any, Final, Literal

import msgspec

from schemas.manifest import ImageInput, LabelsFrom, Strict, TextBlock, TokensInput
from schemas.verdict import Modality

MODELS_CONTRACT_VERSION: Final = 1
MODELS_FILE: Final = "models.json"
WIDE: Final = frozenset({"text.embedding", "text.tokens", "text.mask", "image.regions"})
"""Tensors of a kilobyte or ten a row: a reference may hold them of some rows alone."""


RestScores = Literal["margins", "probabilities"]

REST_TYPES: Final = (
    "scipy.sparse._csr.csr_matrix",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.feature_selection._mutual_info.mutual_info_classif",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._ball_tree.BallTree",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
    "sklearn.utils._bunch.Bunch",
)
"""What a pipeline's file may hold besides the types that skops itself trusts: values of
scikit-learn that run nothing of the file's.
"""


class Artefact(Strict, frozen=True):
    """A fitted thing and the ids of the rows that it was fitted on."""

    name: str
    fitted_rows: tuple[str, ...]


class ReferenceRow(Strict, frozen=True):
    """A row of the gate. `image` is a path beneath the corpus, or beneath `reference/images/`."""

    id: str
    text: str | None
    image: str | None
    set: Literal["evaluation", "paired", "adversarial"]
    image_in: Literal["corpus", "reference"] = "corpus"


class ComparedStrategy(Strict, frozen=True):
    """A strategy by cross-validation on complete training rows: accuracy with its 95 % interval.

    `against_best` is its accuracy less that of the best, on the rows that both were judged on;
    `p_value` that of the paired test, corrected for the number of strategies.
    """

    strategy: str
    rows: int
    accuracy: float
    low: float
    high: float
    against_best: float
    p_value: float
    multiply_adds: int
    """Of the fusion of one post."""


class Choice(Strict, frozen=True):
    """The cheapest of the strategies that are not significantly worse than the best."""

    chosen: str
    best: str
    compared: tuple[ComparedStrategy, ...]


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
    binary_tf: bool = False
    text_norm: Literal["l2", "l1", "none"] = "l2"
    tokens: TokensInput | None = None
    """Where `text/model.npz` has a table for single words."""
    rest: RestScores | None = None
    """Where a brought pipeline is not linear: what text/rest.skops gives as raw scores."""
    image_models: dict[str, str] = msgspec.field(default_factory=dict)
    """The file of a strategy that has a CNN of its own; of the others it is image/model.keras."""
    choice: Choice | None = None
    """How the chosen one was chosen; None where one strategy alone was asked for."""
    labels_from: LabelsFrom | None = None
    """Where the labels of the corpus did not come from people; then nothing was chosen by them."""
