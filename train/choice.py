"""Which strategy is exported: compared by cross-validation on training rows, then by cost.

Each strategy is fitted anew for each part of the rows on the others, and judged on that part: on
complete rows, by inputs of models that never saw the row. The best has the highest accuracy among
those judged on most rows. The others are paired with it, row by row, by an exact McNemar test
(McNemar 1947), corrected for their number (Holm 1979). Of those that are not significantly worse
the one that costs least per post is chosen.

Cost is counted in multiplications, not timed, so that equal corpora choose equally.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from inference.judging import SIGNIFICANT, interval, mcnemar
from schemas.manifest import LabelsFrom
from schemas.models import Choice, ComparedStrategy
from schemas.progress import Progress
from train.errors import SettingError
from train.fusion.registry import ALL
from train.fusion.seam import FittedFusion, FusionStrategy, Present, TrainingInputs
from train.unseen import Fitted, Floats, unseen_scores

_PARTS: Final = 3
FOLDS_MIN: Final = 3
"""With fewer a strategy would have no folds left to calibrate by."""


WITHOUT_CHOICE: Final = "soft-voting"
"""It learns least from labels: a calibration and a weight for each modality."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether each of the rows `ids` was labelled rightly by a fit that never saw it."""

    ids: tuple[str, ...]
    right: Present

    @property
    def by_row(self) -> dict[str, bool]:
        """The same by id."""
        return dict(zip(self.ids, self.right.tolist(), strict=True))


def allowed(strategies: Sequence[str], labels_from: LabelsFrom | None) -> tuple[str, ...]:
    """The strategies to train: by labels of lexicons none is chosen, so it is one alone.

    That is the one that was named, and soft-voting of `all`. To agree best with lexicons is no
    merit: they are wrong in ways that can be learned. Raises SettingError for several names.
    """
    if labels_from is None or (len(strategies) == 1 and strategies[0] != ALL):
        return tuple(strategies)
    if ALL in strategies:
        return (WITHOUT_CHOICE,)
    raise SettingError(
        "the corpus has labels of lexicons, and agreement with them chooses no strategy: name one "
        f"with --strategy (there are {', '.join(strategies)})"
    )


def compare(
    strategies: Sequence[FusionStrategy],
    lessons: Mapping[str, TrainingInputs],
    progress: Progress,
) -> dict[str, Judged]:
    """Every strategy by cross-validation, on the rows that it may learn from."""
    judged: dict[str, Judged] = {}
    for number, strategy in enumerate(strategies, start=1):
        judged[strategy.name] = judge(strategy, lessons[strategy.name])
        accuracy = judged[strategy.name].right.mean()
        note = f"{strategy.name} {accuracy:.3f}"
        progress("comparing the strategies", number, len(strategies), note)
    return judged


def judge(strategy: FusionStrategy, training: TrainingInputs) -> Judged:
    """One strategy by cross-validation, in parts that keep groups whole."""
    parts = training.folds % _PARTS
    ids: list[str] = []
    right: list[Present] = []
    for part in np.unique(parts):
        own = np.flatnonzero((parts == part) & training.complete)
        others = training.chosen(np.flatnonzero(parts != part))
        fitted = Fitted(strategy.name, strategy.fit(others), others.learned_rows)
        chosen = training.chosen(own)
        scores = unseen_scores(fitted, chosen.ids, partial(_predicted, chosen)).scores
        ids += chosen.ids
        right.append(np.asarray(scores.argmax(axis=1) == chosen.labels, np.bool_))
    return Judged(tuple(ids), np.concatenate(right))


def choose(judged: Mapping[str, Judged], costs: Mapping[str, int]) -> Choice:
    """The table and the chosen; costs in multiplications per post."""
    most = max(len(each.ids) for each in judged.values())
    full = [name for name, each in judged.items() if len(each.ids) == most]
    best = max(full, key=lambda name: (judged[name].right.mean(), -costs[name]))
    pairs = {name: _paired(judged[name], judged[best]) for name in judged if name != best}
    p_values = dict(zip(pairs, holm([p for _, p in pairs.values()]), strict=True))
    compared = []
    for name, each in judged.items():
        difference, p_value = pairs[name][0] if name in pairs else 0.0, p_values.get(name, 1.0)
        low, high = interval(int(each.right.sum()), len(each.ids))
        accuracy = float(each.right.mean())
        compared.append(
            ComparedStrategy(
                name, len(each.ids), accuracy, low, high, difference, p_value, costs[name]
            )
        )
    standing = [each for each in compared if each.p_value >= SIGNIFICANT or each.against_best >= 0]
    chosen = min(standing, key=lambda each: (each.multiply_adds, -each.accuracy))
    return Choice(chosen.strategy, best, tuple(compared))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p-values, in the order given."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def _predicted(chosen: TrainingInputs, fitted: FittedFusion) -> Floats:
    return fitted.predict(chosen.values, chosen.present)


def _paired(one: Judged, best: Judged) -> tuple[float, float]:
    """How much more accurate one is than the best on the rows of both, and McNemar's p."""
    theirs = best.by_row
    rows = [(right, theirs[name]) for name, right in one.by_row.items() if name in theirs]
    mine, others = (np.array(column, np.bool_) for column in zip(*rows, strict=True))
    return float(mine.mean() - others.mean()), mcnemar(mine, others)
