"""Small Keras heads on what the modalities' models say: fitted with rows held out to stop by.

A head is a keras.Model from a dict of inputs, `present` float32[N,M] among them, to a dict of
logits by target. It multiplies what is absent away itself, so that modality dropout is a mask that
is drawn anew each step. One `Learner` fits the same head on many sets of rows: TensorFlow traces
its epoch once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from train.calibration import Labels
from train.fusion.seam import Present
from train.quiet_keras import load
from train.unseen import Floats

PRESENT: Final = "present"
LABEL: Final = "label"
_BATCH_ROWS: Final = 128
_WATCHED_SHARE: Final = 8
_ANSWER_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class Lesson:
    """Rows to learn from: inputs by name float64[N,…], zeros where absent, `present` bool[N,M],
    and targets by output int64[N], -1 where nothing is known.
    """

    inputs: Mapping[str, Floats]
    present: Present
    targets: Mapping[str, Labels]

    def chosen(self, rows: NDArray[Any]) -> "Lesson":
        """Some of the rows."""
        return Lesson(
            {name: values[rows] for name, values in self.inputs.items()},
            self.present[rows],
            {name: targets[rows] for name, targets in self.targets.items()},
        )

    @property
    def tensors(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Inputs in float32 and targets, as TensorFlow takes them."""
        tf, _ = load()
        inputs = {name: tf.constant(values, tf.float32) for name, values in self.inputs.items()}
        inputs[PRESENT] = tf.constant(self.present, tf.float32)
        return inputs, {name: tf.constant(values) for name, values in self.targets.items()}


@dataclass(frozen=True, slots=True)
class Course:
    """How a head is fitted: passes over the rows, the rate, its decay, the weight of each target's
    loss, how often a modality of a complete row is dropped, and how much a row counts by its label,
    float64[K]; None where all alike.
    """

    epochs: int
    rate: float
    weight_decay: float
    losses: Mapping[str, float]
    modality_dropout: float
    label_weights: Floats | None = None


class Learner:
    """Fits heads that `build` makes; equal rows and seed give equal heads."""

    def __init__(self, build: Callable[[], Any], course: Course, seed: int) -> None:
        _, keras = load()
        keras.utils.set_random_seed(seed)
        self._seed, self._course = seed, course
        self._model = build()
        self._optimizer = keras.optimizers.AdamW(course.rate, weight_decay=course.weight_decay)
        self._optimizer.build(self._model.trainable_variables)
        self._variables = [*self._model.variables, *self._optimizer.variables]
        self._start = [variable.numpy() for variable in self._variables]
        self._epoch = _epoch(self._model, self._optimizer, course)
        self._loss = _loss_of(self._model, course.label_weights)

    def fit(self, lesson: Lesson) -> Any:
        """A head of the weights that told the watched rows best; they may be the first ones."""
        _, keras = load()
        for variable, value in zip(self._variables, self._start, strict=True):
            variable.assign(value)
        chance = np.random.default_rng(self._seed)
        order = chance.permutation(len(lesson.present))
        watched = lesson.chosen(order[: max(1, len(order) // _WATCHED_SHARE)])
        learned = lesson.chosen(order[len(watched.present) :])
        tensors, look = (
            learned.tensors,
            partial(self._loss, watched.tensors[0], {LABEL: watched.tensors[1][LABEL]}),
        )
        kept, least = self._model.get_weights(), float(look())
        for number in range(self._course.epochs):
            batches = _batches(chance, len(learned.present))
            self._epoch(*tensors, batches, np.int32(number))
            loss = float(look())
            if loss < least:
                kept, least = self._model.get_weights(), loss
        fitted = keras.models.clone_model(self._model)
        fitted.set_weights(kept)
        return fitted


def answers(model: Any, inputs: Mapping[str, Floats], present: Present) -> dict[str, Floats]:
    """Every output of the head, float64, by Keras itself in float32; one row in no other's way."""
    lesson = Lesson(inputs, present, {})
    parts: list[dict[str, Any]] = []
    for start in range(0, max(1, len(present)), _ANSWER_ROWS):
        rows = np.arange(start, min(start + _ANSWER_ROWS, len(present)))
        given, _ = lesson.chosen(rows).tensors
        parts.append(model(given, training=False))
    return {
        name: np.concatenate([np.asarray(part[name], np.float64) for part in parts])
        for name in parts[0]
    }


def save_head(model: Any, folder: Path) -> None:
    """Write head.keras."""
    model.save(folder / "head.keras")


def multiply_adds(model: Any) -> int:
    """Of one row: each weight of a dense head is used once."""
    return int(model.count_params())


def masked(keras: Any, tensor: Any, present: Any, modality: int) -> Any:
    """Zeros where the modality is absent."""
    here = keras.ops.reshape(present[:, modality], (-1, *[1] * (len(tensor.shape) - 1)))
    return tensor * here


def _batches(chance: np.random.Generator, rows: int) -> NDArray[np.int32]:
    """int32[B,batch]: a new order of the rows, the last batch filled up from the front."""
    batch = min(_BATCH_ROWS, rows)
    count = -(-rows // batch)
    return np.resize(chance.permutation(rows), (count, batch)).astype(np.int32)


def _epoch(model: Any, optimizer: Any, course: Course) -> Callable[..., Any]:
    """One pass as one TensorFlow function."""
    tf, _ = load()

    batches_spec, number_spec = (tf.TensorSpec(shape, tf.int32) for shape in ((None, None), ()))
    signature = [*_signature(tf, model, course.losses), batches_spec, number_spec]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator, unused-ignore]  # TensorFlow has no types.
    def epoch(inputs: Any, targets: Any, batches: Any, number: Any) -> None:
        for step in tf.range(tf.shape(batches)[0]):
            rows = batches[step]
            given = {name: tf.gather(values, rows) for name, values in inputs.items()}
            seed = tf.stack([number, step])
            given[PRESENT] = _dropped(tf, given[PRESENT], seed, course.modality_dropout)
            truth = {name: tf.gather(values, rows) for name, values in targets.items()}
            with tf.GradientTape() as tape:
                loss = _loss(
                    tf, model(given, training=True), truth, course.losses, course.label_weights
                )
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return epoch  # type: ignore[no-any-return, unused-ignore]  # TensorFlow has no types.


def _dropped(tf: Any, present: Any, seed: Any, share: float) -> Any:
    """Of some of the rows that have all modalities, one at random is taken away."""
    count = tf.shape(present)[0]
    modalities = present.shape[1]
    draw = tf.random.stateless_uniform([count], seed)
    which = tf.random.stateless_uniform([count], seed + 7919, maxval=modalities, dtype=tf.int32)
    complete = tf.reduce_min(present, axis=1) > 0
    taken = tf.cast((draw < share) & complete, tf.float32)[:, None]
    return present * (1 - taken * tf.one_hot(which, modalities))


def _loss(
    tf: Any,
    logits: Mapping[str, Any],
    truth: Mapping[str, Any],
    weights: Any,
    label_weights: Floats | None,
) -> Any:
    """Cross-entropy of each target where it is known, weighted."""
    total = 0.0
    for name, values in truth.items():
        known = tf.cast(values >= 0, tf.float32)
        if name == LABEL and label_weights is not None:
            known *= tf.gather(tf.constant(label_weights, tf.float32), tf.maximum(values, 0))
        each = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(values, 0), logits[name])
        mean = tf.reduce_sum(each * known) / tf.maximum(tf.reduce_sum(known), 1.0)
        total += weights[name] * mean
    return total


def _loss_of(model: Any, label_weights: Floats | None) -> Callable[..., Any]:
    """Mean loss of the label on rows that are watched."""
    tf, _ = load()

    @tf.function(input_signature=_signature(tf, model, (LABEL,)))  # type: ignore[untyped-decorator, unused-ignore]  # TensorFlow has no types.
    def loss(inputs: Any, targets: Any) -> Any:
        logits = model(inputs, training=False)
        return _loss(tf, logits, targets, {LABEL: 1.0}, label_weights)

    return loss  # type: ignore[no-any-return, unused-ignore]  # TensorFlow has no types.


def _signature(tf: Any, model: Any, targets: Iterable[str]) -> list[dict[str, Any]]:
    """Any number of rows, so that an epoch is traced once."""
    inputs = {
        name: tf.TensorSpec((None, *tensor.shape[1:]), tf.float32)
        for name, tensor in model.input.items()
    }
    return [inputs, {name: tf.TensorSpec((None,), tf.int64) for name in targets}]
