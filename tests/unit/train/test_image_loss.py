"""The loss of the CNN: one logit for two labels is two logits, whatever a row weighs."""

import numpy as np
import pytest

from train.image_model import _cross_entropy
from train.quiet_keras import load

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_one_logit_weighs_rows_as_two_do() -> None:
    """Of shares that sum to the weight of the row's class, opinions among them."""
    tf, _ = load()
    z = np.array([[-3.0], [0.5], [40.0]], np.float32)
    shares = np.array([[0.5, 0.0], [0.6, 2.4], [0.0, 3.0]], np.float32)
    one = np.asarray(_cross_entropy(tf.constant(z), tf.constant(shares)))
    both = tf.constant(np.concatenate((np.zeros_like(z), z), axis=1))
    two = np.asarray(_cross_entropy(both, tf.constant(shares)))
    assert one == pytest.approx(two, abs=1e-6)
