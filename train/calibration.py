"""Scores to probabilities: multinomial logistic on scores of rows that the scorer never saw.

With two labels this is Platt's method. A calibration is a matrix A[Kin,K] and a bias b[K]:
probabilities = softmax(scores @ A + b).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from train.unseen import Floats

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """`matrix` float64[Kin,K], `bias` float64[K]."""

    matrix: Floats
    bias: Floats

    def probabilities(self, scores: Floats) -> Floats:
        """float64[N,K] of float64[N,Kin]."""
        return np.asarray(softmax(scores @ self.matrix + self.bias, axis=1), np.float64)


def calibrate(
    scores: Floats, labels: Labels, labels_count: int, weights: Floats | None = None
) -> Calibration:
    """Fit on scores of unseen rows, of which each counts by its weight; each label must occur.

    The scores are standardised for the fit, so that its penalty means the same for all of them.
    """
    scaler = StandardScaler().fit(scores)
    fitted = LogisticRegression(max_iter=1000, tol=1e-8)
    # On several threads the small products of this fit take ten times as long.
    with threadpool_limits(1, "blas"):
        fitted.fit(scaler.transform(scores), labels, weights)
    weights, bias = fitted.coef_.T, fitted.intercept_
    if labels_count == 2:
        # One logit becomes two, half of it each way.
        weights = np.concatenate((-weights, weights), axis=1) / 2
        bias = np.array([-bias[0], bias[0]]) / 2
    matrix = weights / scaler.scale_[:, None]
    return Calibration(matrix, bias - scaler.mean_ @ matrix)


def log_loss(probabilities: Floats, labels: Labels, weights: Floats | None = None) -> float:
    """Mean of -ln p of the true label, each row by its weight."""
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(np.average(-np.log(np.maximum(chosen, 1e-12)), weights=weights))
