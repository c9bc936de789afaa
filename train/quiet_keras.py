"""TensorFlow and Keras without a word on the terminal, loaded when they are first needed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@cache
def load() -> tuple[Any, Any]:
    """`(tensorflow, keras)`. What TensorFlow's C++ writes while it loads goes nowhere."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _standard_error_shut():
        import tensorflow as tf
    import keras

    # There is nothing to find, and looking for it writes an error.
    tf.config.set_visible_devices([], "GPU")
    tf.get_logger().setLevel("ERROR")
    return tf, keras


@contextmanager
def _standard_error_shut() -> Iterator[None]:
    """Point file descriptor 2 at nothing; an exception still reaches the caller."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
