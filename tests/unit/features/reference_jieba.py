"""Jieba itself, quietly: the reference that the cutter is compared with."""

import logging
import warnings
from functools import cache
from typing import Any


@cache
def jieba() -> Any:
    """The package, its word list loaded."""
    with warnings.catch_warnings():
        # Its regular expressions have escapes that Python 3.12 warns of when it compiles them.
        warnings.simplefilter("ignore")
        import jieba as package
    package.setLogLevel(logging.ERROR)
    package.initialize()
    return package
