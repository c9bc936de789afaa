"""Linear steps of a pipeline, folded into the coefficients of what comes after them.

Nothing is left of them at serving but one matrix.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from train.unseen import Floats

_SCALERS: Final = (MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler)
_DIRECTIONS: Final = (PCA, TruncatedSVD)


def foldable(step: Any) -> bool:
    """Whether a fitted step is linear, and known here; one that clips is not."""
    return isinstance(step, (*_SCALERS, *_DIRECTIONS, SelectorMixin)) and not getattr(
        step, "clip", False
    )


def width_after(step: Any, width: int) -> int:
    """How many features leave a foldable step that `width` enter."""
    if isinstance(step, SelectorMixin):
        return int(step.get_support().sum())
    return len(step.components_) if isinstance(step, _DIRECTIONS) else width


def folded(steps: Sequence[Any], coefficients: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
    """Of float64 [R,D] and [R] on what leaves the steps, those on what enters them."""
    for step in reversed(steps):
        coefficients, intercepts = _before(step, coefficients, intercepts)
    return coefficients, intercepts


def _before(step: Any, coefficients: Floats, intercepts: Floats) -> tuple[Floats, Floats]:
    if isinstance(step, SelectorMixin):
        support = step.get_support()
        wider = np.zeros((len(coefficients), len(support)))
        wider[:, support] = coefficients
        return wider, intercepts
    if isinstance(step, TruncatedSVD):
        return coefficients @ step.components_, intercepts
    if isinstance(step, PCA):
        scale = np.sqrt(step.explained_variance_) if step.whiten else np.ones(len(coefficients.T))
        directions = (coefficients / scale) @ step.components_
        return directions, intercepts - directions @ step.mean_
    scale, shift = _scaled(step)
    return coefficients * scale, intercepts + np.sum(coefficients * shift, axis=1)


def _scaled(step: Any) -> tuple[Any, Any]:
    """A scaler as x·scale + shift."""
    if isinstance(step, MinMaxScaler):
        return step.scale_, step.min_
    divided = 1.0 if step.scale_ is None else 1 / step.scale_
    if isinstance(step, StandardScaler) and step.with_mean:
        return divided, -step.mean_ * divided
    if isinstance(step, RobustScaler) and step.center_ is not None:
        return divided, -step.center_ * divided
    return divided, 0.0
