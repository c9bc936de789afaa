"""Pixels and labels to a trained CNN, and to scores of rows that a CNN never saw.

A tenth of the rows is watched, not learned from: the weights of the epoch that tells those best
are kept. Watched rows count as rows that the model was fitted on.

A run that ends no better than knowing the shares of the labels is repeated from another start. It
has collapsed when its loss is no number, or it answers different images with the same logits: such
a run is never shipped. When it answers differently and still knows nothing, the images may say
nothing of the labels, and the best of such runs is as good as can be.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.progress import Progress
from train.augmentation import Change, augmented, mirrored
from train.calibration import Labels
from train.cnn import (
    LABEL_HEAD,
    REGIONS,
    SCORES,
    build,
    image_input,
    with_outputs,
)
from train.errors import CollapsedError
from train.image_rows import ImageRows
from train.quiet_keras import load
from train.settings import Cnn, NamedCnn, OwnCnn, TrainSettings
from train.side_by_side import Curve, FittedCnn, Lesson, fit_side_by_side
from train.unseen import Fitted, Floats, Unseen, joined, unseen_scores

RUNS_MAX: Final = 3
_WATCHED_SHARE: Final = 10
_WATCHED_ROWS_MAX: Final = 500
_RATE: Final[dict[NamedCnn, float]] = {"compact": 3e-3, "brief": 3e-4}
# What it knows already should not be lost in the first steps.
_RATE_OF_OWN: Final = 1e-3
_WEIGHT_DECAY: Final = 0.02
# Fewer passes are too few for images that are moved, relit and covered besides: of the demo's faces
# six passes over such taught .77 to .82, over mirrored ones .84 (three seeds, ceiling .857).
_MOVED_EPOCHS_MIN: Final = 10
# How much better than the shares of the labels a run must tell the watched rows.
_LEARNED_MIN: Final = 0.02
# Logits of different images that are nearer than this are the same answer.
_SAME_ANSWER_MAX: Final = 1e-4
_PREDICT_ROWS: Final = 256


@dataclass(frozen=True, slots=True)
class ImageTraining:
    """The shipped model, what fusion may learn from, and the figures of each epoch."""

    model: Fitted[Any]
    folds: tuple[Fitted[Any], ...]
    scores: Unseen
    learning_curve: Curve
    collapsed_runs: int
    """Of all CNNs: they were repeated."""
    learned: bool
    """Whether the shipped one knows more of the labels than how frequent each is."""

    @property
    def alone(self) -> Fitted[Any]:
        """A CNN that never saw the first fold: of `held-out` the shipped one."""
        return self.folds[0] if self.folds else self.model


class End(Enum):
    """How a run of the CNN can end."""

    LEARNED = auto()
    NOTHING_LEARNED = auto()
    COLLAPSED = auto()


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run: the model, the figures by epoch, and its loss on the watched rows."""

    model: Any
    learning_curve: Curve
    loss: float
    end: End


def fit_image(rows: ImageRows, settings: TrainSettings, progress: Progress) -> ImageTraining:
    """The CNN to ship, and scores of rows that it, or the CNN of their fold, never saw.

    Raises CollapsedError when all runs of a CNN collapse.
    """
    if settings.image_scoring == "out-of-fold":
        return _fit_out_of_fold(rows, settings, progress)
    return _fit_holding_out(rows, settings, progress)


def _fit_holding_out(rows: ImageRows, settings: TrainSettings, progress: Progress) -> ImageTraining:
    """A CNN on all folds but the first, which it scores."""
    kept, others = np.flatnonzero(rows.folds == 0), np.flatnonzero(rows.folds != 0)
    epochs = settings.epochs_for(len(rows.ids))
    cnn = fit_cnn(rows.chosen(others), settings, progress, "CNN", epochs)
    ids = [rows.ids[row] for row in kept]
    scores = unseen_scores(cnn.fitted, ids, partial(scored, rows.pixels[kept]))
    return _training(cnn, (), scores)


def _fit_out_of_fold(rows: ImageRows, settings: TrainSettings, progress: Progress) -> ImageTraining:
    """One CNN per fold on the others, which scores that fold, and then one on all rows.

    That one is taught the labels and, in equal parts, what the CNNs of the folds say of the rows.
    """
    lessons = [
        Lesson(f"CNN of fold {fold + 1} of {settings.folds}", np.flatnonzero(rows.folds != fold))
        for fold in range(settings.folds)
    ]
    epochs = settings.epochs_for(len(rows.ids))
    folds = fit_side_by_side(fit_cnn, rows, lessons, settings, progress, epochs)
    parts: list[Unseen] = []
    for fold, cnn in enumerate(folds):
        own = np.flatnonzero(rows.folds == fold)
        ids = [rows.ids[row] for row in own]
        parts.append(unseen_scores(cnn.fitted, ids, partial(scored, rows.pixels[own])))
    scores = joined(parts, rows.ids)
    advised = replace(rows, opinions=scores.scores)
    whole = fit_cnn(advised, settings, progress, "CNN", epochs)
    return _training(whole, folds, scores)


def _training(shipped: FittedCnn, folds: Sequence[FittedCnn], scores: Unseen) -> ImageTraining:
    return ImageTraining(
        shipped.fitted,
        tuple(cnn.fitted for cnn in folds),
        scores,
        shipped.learning_curve,
        sum(cnn.collapsed_runs for cnn in (*folds, shipped)),
        shipped.learned,
    )


def fit_cnn(
    rows: ImageRows, settings: TrainSettings, progress: Progress, name: str, epochs: int
) -> FittedCnn:
    """The best of at most `RUNS_MAX` runs, which end with the first that learns.

    Raises CollapsedError when all of them collapse.
    """
    runs: list[Run] = []
    for number in range(RUNS_MAX):
        runs.append(run_once(rows, settings, progress, name, epochs, settings.seed + 1000 * number))
        if runs[-1].end is End.LEARNED:
            break
    standing = [run for run in runs if run.end is not End.COLLAPSED]
    if not standing:
        raise CollapsedError(
            f"all {RUNS_MAX} runs of the {name} collapsed: it gives every image the same answer, "
            f"or its loss is no number. Try a lower --image-rate, which is {_rate(settings):g}, or "
            f"--cnn compact, and see `tuwen corpus check` for what the images are"
        )
    best = min(standing, key=lambda run: run.loss)
    fitted = Fitted(name, with_outputs(best.model), frozenset(rows.ids))
    collapsed = len(runs) - len(standing)
    return FittedCnn(fitted, best.learning_curve, collapsed, best.end is End.LEARNED)


def scored(pixels: NDArray[np.uint8], model: Any) -> Floats:
    """Keras's own predict: float64[N,Ki]."""
    return image_outputs(pixels, model)[SCORES]


def image_outputs(pixels: NDArray[np.uint8], model: Any) -> dict[str, Floats]:
    """The same of every output: `image.scores` float64[N,Ki], `image.regions` float64[N,R,C]."""
    if not len(pixels):
        return {name: np.empty((0, *output.shape[1:])) for name, output in model.output.items()}
    found = model.predict(pixels, batch_size=_PREDICT_ROWS, verbose=0)
    return {name: np.asarray(found[name], np.float64) for name in (SCORES, REGIONS)}


def run_once(
    rows: ImageRows,
    settings: TrainSettings,
    progress: Progress,
    name: str,
    epochs: int,
    seed: int,
) -> Run:
    """One run from one start: the weights of the epoch with the least loss on watched rows."""
    _, keras = load()
    keras.utils.set_random_seed(seed)
    watched, learned = _watched(rows, seed)
    model = build(settings.cnn, image_input(settings.cnn), rows.heads)
    steps = max(1, len(learned) // settings.batch_images)
    adjustments = rows.adjustments(settings.cnn, settings.class_weight)
    step = _step(model, settings, steps * epochs, adjustments, change(settings.cnn, epochs))
    taught = rows.taught(settings.cnn, settings.class_weight)
    chance = np.random.default_rng(seed)
    curve: list[dict[str, float]] = []
    kept, least = model.get_weights(), np.inf
    for epoch in range(epochs):
        order = chance.permutation(learned)
        _pass(step, rows.pixels, taught, order, settings.batch_images, (seed, epoch))
        loss, accuracy = _measured(model, rows, watched, adjustments[LABEL_HEAD])
        if not np.isfinite(loss):
            break
        curve.append({"epoch": epoch + 1.0, "loss": loss, "accuracy": accuracy})
        progress(f"training the {name}", epoch + 1, epochs, f"accuracy {accuracy:.3f}")
        if loss < least:
            kept, least = model.get_weights(), loss
    model.set_weights(kept)
    return Run(model, tuple(curve), float(least), _end(model, rows, watched, float(least)))


def _end(model: Any, rows: ImageRows, watched: NDArray[np.int64], loss: float) -> End:
    if loss < _entropy(rows.labels[watched]) - _LEARNED_MIN:
        return End.LEARNED
    if not np.isfinite(loss):
        return End.COLLAPSED
    pixels = rows.pixels[watched]
    alike = np.ptp(_logits(model, pixels), axis=0).max() < _SAME_ANSWER_MAX
    return End.COLLAPSED if alike and (pixels != pixels[0]).any() else End.NOTHING_LEARNED


def change(cnn: Cnn, epochs: int) -> Change:
    """How images are changed for a CNN that sees each of them so often."""
    return augmented if cnn != "brief" and epochs >= _MOVED_EPOCHS_MIN else mirrored


def _watched(rows: ImageRows, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to watch and rows to learn from."""
    order = np.random.default_rng(seed).permutation(len(rows.ids))
    count = min(_WATCHED_ROWS_MAX, max(1, len(order) // _WATCHED_SHARE))
    return order[:count], order[count:]


def _pass(
    step: Callable[..., Any],
    pixels: NDArray[np.uint8],
    taught: Mapping[str, NDArray[np.float32]],
    order: NDArray[np.int64],
    batch: int,
    seed: tuple[int, int],
) -> None:
    """One epoch over the rows in this order; the last batch is filled up from the front."""
    batches = max(1, len(order) // batch)
    for number in range(batches):
        chosen = np.resize(order, batches * batch)[number * batch : (number + 1) * batch]
        step(
            pixels[chosen],
            {head: shares[chosen] for head, shares in taught.items()},
            np.array([seed[0] % 2**31, (seed[1] * batches + number) * 100], np.int32),
        )


def _step(
    model: Any,
    settings: TrainSettings,
    steps: int,
    adjustments: Mapping[str, NDArray[np.float32]],
    changed: Change,
) -> Callable[..., Any]:
    """One step of AdamW on a one-cycle rate, as a TensorFlow function."""
    tf, keras = load()
    optimizer = keras.optimizers.AdamW(_one_cycle(_rate(settings), steps), _WEIGHT_DECAY)
    optimizer.build(model.trainable_variables)

    @tf.function  # type: ignore[untyped-decorator, unused-ignore]  # TensorFlow has no types.
    def step(pixels: Any, taught: dict[str, Any], seed: Any) -> None:
        with tf.GradientTape() as tape:
            logits = model(changed(pixels, seed), training=True)
            adjusted = {head: logits[head] + shift for head, shift in adjustments.items()}
            loss = _loss(adjusted, taught)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return step  # type: ignore[no-any-return, unused-ignore]  # TensorFlow has no types.


def _rate(settings: TrainSettings) -> float:
    by_cnn = _RATE_OF_OWN if isinstance(settings.cnn, OwnCnn) else _RATE[settings.cnn]
    return settings.image_rate or by_cnn


def _one_cycle(rate: float, steps: int) -> Any:
    """Up for 30 % of the steps, down in a half cosine for the others (Smith 2018)."""
    _, keras = load()
    return keras.optimizers.schedules.CosineDecay(
        rate / 25,
        max(1, int(steps * 0.7)),
        alpha=1e-4,
        warmup_target=rate,
        warmup_steps=int(steps * 0.3),
    )


def _loss(logits: dict[str, Any], taught: dict[str, Any]) -> Any:
    """Cross-entropy of each head, over the rows of which something is known."""
    tf, _ = load()
    loss = 0.0
    for head, shares in taught.items():
        known = tf.maximum(tf.reduce_sum(shares), 1.0)
        loss += tf.reduce_sum(_cross_entropy(logits[head], shares)) / known
    return loss


def _cross_entropy(logits: Any, shares: Any) -> Any:
    tf, _ = load()
    if logits.shape[1] == 1:
        return tf.nn.sigmoid_cross_entropy_with_logits(shares[:, 1], logits[:, 0])
    return tf.nn.softmax_cross_entropy_with_logits(shares, logits)


def _measured(
    model: Any, rows: ImageRows, watched: NDArray[np.int64], adjustment: NDArray[np.float32]
) -> tuple[float, float]:
    """Mean loss and accuracy of the label head on watched rows; the loss may be no number."""
    values = _logits(model, rows.pixels[watched]) + adjustment
    if not np.isfinite(values).all():
        return np.inf, 0.0
    if values.shape[1] == 1:
        values = np.concatenate((np.zeros_like(values), values), axis=1)
    labels = rows.labels[watched]
    top = values.max(axis=1, keepdims=True)
    log_sums = top[:, 0] + np.log(np.exp(values - top).sum(axis=1))
    loss = log_sums - values[np.arange(len(labels)), labels]
    return float(loss.mean()), float((values.argmax(axis=1) == labels).mean())


def _logits(model: Any, pixels: NDArray[np.uint8]) -> Floats:
    """float64[N,W] of the label head."""
    parts = [
        model(pixels[start : start + _PREDICT_ROWS], training=False)[LABEL_HEAD]
        for start in range(0, len(pixels), _PREDICT_ROWS)
    ]
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def _entropy(labels: Labels) -> float:
    """The loss of whoever knows the shares of the labels and nothing else."""
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
