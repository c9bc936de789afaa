"""Files of fusion strategies of a user's own to what training and export take of them.

A strategy is one file in each room, of the same name: `mine/train/log_pool.py` has the `STRATEGY`
`log-pool` (`train.fusion.seam`), `mine/export/log_pool.py` makes its graph (`export.fusion.seam`).
"""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Final, cast

from tuwen.failures import Failed

if TYPE_CHECKING:
    from export.fusion.seam import Strategy
    from train.fusion.seam import FusionStrategy

_OF_TRAINING: Final = ("STRATEGY",)
_OF_EXPORT: Final = ("TOLERANCE", "inputs", "fuse")


def of_training(files: Sequence[Path]) -> tuple["FusionStrategy", ...]:
    """The strategy of each file. Raises Failed."""
    found = []
    for file in files:
        strategy = cast("FusionStrategy", _loaded(file, _OF_TRAINING).STRATEGY)
        if strategy.name != _named(file):
            raise Failed(
                f"{file}: its STRATEGY is named {strategy.name!r}, and the file must be named "
                f"as the strategy is: name it {_named(file)!r}, or rename the file"
            )
        found.append(strategy)
    return tuple(found)


def of_export(files: Sequence[Path]) -> dict[str, "Strategy"]:
    """The module of each file, by the strategy's name. Raises Failed."""
    return {_named(file): cast("Strategy", _loaded(file, _OF_EXPORT)) for file in files}


def _named(file: Path) -> str:
    return file.stem.replace("_", "-")


def _loaded(file: Path, wanted: Sequence[str]) -> ModuleType:
    """The file as a module that has these names; it runs as the user's own code."""
    spec = importlib.util.spec_from_file_location(str(file), file)
    if spec is None or spec.loader is None:
        raise Failed(f"{file} is no Python file: name one that ends in .py")
    module = importlib.util.module_from_spec(spec)
    # A dataclass looks its module up there.
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except OSError:
        raise
    except Exception as error:
        # What a file of somebody's own stumbles over can be anything.
        raise Failed(
            f"{file} cannot be loaded ({type(error).__name__}: {error}): correct it"
        ) from error
    missing = [name for name in wanted if not hasattr(module, name)]
    if missing:
        raise Failed(
            f"{file} has no {', '.join(missing)}: a strategy's file of this room has "
            f"{', '.join(wanted)} (docs/fusion.md, write your own)"
        )
    return module
