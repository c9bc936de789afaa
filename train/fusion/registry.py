"""The strategies that there are: one module each in this package, named as the strategy is.

The strategy `soft-voting` is the `STRATEGY` of the module `soft_voting`; one more is one more file.
Strategies of a user's own stand beside them, and are handed in.
"""

import importlib
import pkgutil
from collections.abc import Sequence

from train import fusion
from train.errors import SettingError
from train.fusion.seam import FusionStrategy

ALL = "all"


def names() -> tuple[str, ...]:
    """Every strategy's name, sorted."""
    modules = (module.name for module in pkgutil.iter_modules(fusion.__path__))
    return tuple(sorted(_named(module) for module in modules if _strategy(module) is not None))


def strategies(
    wanted: Sequence[str], own: Sequence[FusionStrategy] = ()
) -> tuple[FusionStrategy, ...]:
    """Those of these names, `all` for all there are; `own` are there besides.

    Raises SettingError for an unknown name, and for one that two strategies have.
    """
    besides = {each.name: each for each in own}
    known = (*names(), *besides)
    if len(set(known)) < len(names()) + len(own):
        raise SettingError(
            f"two strategies have one name: give {', '.join(besides)} names other than "
            f"{', '.join(names())}"
        )
    unknown = [name for name in wanted if name not in {*known, ALL}]
    if unknown:
        raise SettingError(
            f"strategy {unknown[0]!r} is unknown: there are {', '.join(known)}, and {ALL}"
        )
    chosen = known if ALL in wanted else dict.fromkeys(wanted)
    return tuple(besides[name] if name in besides else strategy(name) for name in chosen)


def strategy(name: str) -> FusionStrategy:
    """The one of that name, which must be one of `names()`."""
    found = _strategy(name.replace("-", "_"))
    assert found is not None, f"{name} is no strategy"
    return found


def _strategy(module: str) -> FusionStrategy | None:
    return getattr(importlib.import_module(f"{fusion.__name__}.{module}"), "STRATEGY", None)


def _named(module: str) -> str:
    return module.replace("_", "-")
