"""A text pipeline's name to the fitted scikit-learn Pipeline; nothing is ever unpickled.

A name is a skops file, or `module:function` (`path/to/file.py:function`) that gives the pipeline.
"""

import importlib
import importlib.util
from pathlib import Path
from typing import Any, Final

from schemas.models import REST_TYPES
from train.errors import BroughtError

_PICKLES: Final = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".sav"})


def load_pipeline(name: str) -> Any:
    """The fitted pipeline. Raises BroughtError."""
    if Path(name).suffix.lower() in _PICKLES:
        raise BroughtError(
            f"{name} is a pickle, and to open one is to run whatever it holds; where you trust it, "
            "load it and save it again with skops.io.dump(pipeline, 'pipeline.skops')"
        )
    if Path(name).suffix == ".skops":
        return _from_skops(Path(name))
    if ":" in name:
        return _from_function(name)
    raise BroughtError(f"{name!r} is neither a .skops file nor module:function")


def _from_skops(file: Path) -> Any:
    from skops import io

    try:
        unknown = sorted(set(io.get_untrusted_types(file=file)) - set(REST_TYPES))
        if not unknown:
            return io.load(file, trusted=list(REST_TYPES))
    except Exception as error:
        # A damaged file raises whatever its reader stumbles over.
        raise BroughtError(
            f"{file} cannot be read as skops wrote it ({type(error).__name__}: {error}); "
            "save it with skops.io.dump and scikit-learn 1.9"
        ) from error
    raise BroughtError(
        f"{file} holds {', '.join(unknown)}, which is not trusted: take it out of the pipeline "
        "before saving (a tokenizer: set it to None and name it by --tokenizer), or name a "
        "function that gives the pipeline, module:function"
    )


def _from_function(name: str) -> Any:
    place, _, attribute = name.rpartition(":")
    try:
        function = getattr(_module(place), attribute)
    except (ImportError, AttributeError, OSError) as error:
        raise BroughtError(
            f"{name!r} names no function ({error}): install its module, or write "
            "path/to/file.py:function"
        ) from error
    return function()


def _module(place: str) -> Any:
    if not place.endswith(".py"):
        return importlib.import_module(place)
    spec = importlib.util.spec_from_file_location(Path(place).stem, place)
    assert spec is not None, "a .py file always has a loader"
    assert spec.loader is not None, "the same"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
