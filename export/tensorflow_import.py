"""TensorFlow and tf2onnx without what they print of themselves."""

import logging
import os
from typing import Any

_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "CUDA_VISIBLE_DEVICES": "-1"}


def tensorflow() -> Any:
    """TensorFlow; the environment is set before the first import, for it is read then."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import tensorflow as tf

    for noisy in ("absl", "tensorflow", "tf2onnx"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    return tf


def tf2onnx() -> Any:
    """The converter, which sets up logging of its own when it is imported."""
    tensorflow()
    import tf2onnx

    # What it cannot convert it logs and leaves in the graph: `export.cnn` says so by name.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    return tf2onnx
