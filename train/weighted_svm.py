"""Linear SVMs, one against the rest, in which a term counts by how much it tells of the label.

    r[k,t]     = ln (share of term t in the tf-idf of label k / its share in that of the others)
    scale[k,t] = 1 - β + β·|r[k,t]| / mean of |r[k]|
    margin[k]  = (x ∘ scale[k]) · w[k] + intercept[k]

The ratio is naive Bayes's, in a linear SVM (Wang and Manning 2012), each sum of tf-idf being
smoothed. An SVM's penalty is the same for every term; scaled so, a term that stands with every
label has to earn more. What is served is the product of scale and w, a column's one coefficient.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.svm import LinearSVC

from train.unseen import Floats

SHARE: Final = 0.25
"""β, which is also the authors' own share of the ratios."""
_SMOOTHING: Final = 0.5
_ITERATIONS_MAX: Final = 5000


@dataclass(frozen=True, slots=True)
class WeightedSvm:
    """`scales` float64[Kt,V], and scikit-learn's LinearSVC of each label, or one for two labels."""

    scales: Floats
    svms: tuple[Any, ...]

    @property
    def coefficients(self) -> Floats:
        """float64[Kt,V]."""
        return np.vstack([svm.coef_ for svm in self.svms]) * self.scales

    @property
    def intercepts(self) -> Floats:
        """float64[Kt]."""
        return np.concatenate([svm.intercept_ for svm in self.svms])

    def margins(self, x: sparse.csr_matrix) -> Floats:
        """float64[N,Kt] of float64[N,V], by scikit-learn."""
        pairs = zip(self.svms, self.scales, strict=True)
        return np.stack([svm.decision_function(x.multiply(s).tocsr()) for svm, s in pairs], axis=1)


def fit_weighted_svm(
    x: sparse.csr_matrix,
    targets: NDArray[np.int64],
    cost: float,
    seed: int,
    class_weight: Literal["balanced"] | None = None,
) -> WeightedSvm:
    """Fit on tf-idf float64[N,V] and targets int64[N]; equal inputs give equal results."""
    values = np.unique(targets)
    scales, svms = [], []
    # Of two labels the second is told from the first: the first would say the same again.
    for value in values[1:] if len(values) == 2 else values:
        own = targets == value
        scale = term_scale(x, own)
        svm = LinearSVC(
            C=cost, class_weight=class_weight, random_state=seed, max_iter=_ITERATIONS_MAX
        )
        svms.append(svm.fit(x.multiply(scale).tocsr(), own))
        scales.append(scale)
    return WeightedSvm(np.stack(scales), tuple(svms))


def term_scale(x: sparse.csr_matrix, own: NDArray[np.bool_]) -> Floats:
    """float64[V], 1 on average: by how much each term tells the rows `own` from the others."""
    mine, others = (np.asarray(x[rows].sum(axis=0)).ravel() + _SMOOTHING for rows in (own, ~own))
    ratio = np.abs(np.log(mine / mine.sum()) - np.log(others / others.sum()))
    mean = ratio.mean()
    return np.asarray(1 - SHARE + SHARE * ratio / mean if mean > 0 else np.ones_like(ratio))
