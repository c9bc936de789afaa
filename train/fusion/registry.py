"""The strategies that there are, by name."""

from typing import Final

from train.fusion.concatenation import Concatenation
from train.fusion.seam import FusionStrategy
from train.fusion.soft_voting import SoftVoting

STRATEGIES: Final[dict[str, FusionStrategy]] = {
    strategy.name: strategy for strategy in (SoftVoting(), Concatenation())
}
