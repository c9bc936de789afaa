"""What labels are called: as people call them in the corpus, or as the user says."""

from collections.abc import Mapping, Sequence
from typing import Final

from train.errors import SettingError
from train.labelling.rule import Polarity

_PAIRS: Final = (
    ("积极", "消极"),
    ("正面", "负面"),
    ("正向", "负向"),
    ("好评", "差评"),
    ("positive", "negative"),
    ("pos", "neg"),
)
"""How a positive and a negative label are usually called; without people, as the first are."""


def label_names(people: Sequence[str], asked: Mapping[Polarity, str | None]) -> dict[Polarity, str]:
    """The name of each label that lexicons may give, positive first; neutral only where asked for.

    `people` are the labels that people gave in the corpus, where they gave some. One alone is not
    all that they use.

    Raises:
        SettingError: a name is asked for that people do not use, theirs cannot be told apart, or
            two labels would have one name.
    """
    names = {
        polarity: name
        for polarity in Polarity
        if (name := asked.get(polarity) or _found(polarity, people)) is not None
    }
    for polarity, name in names.items():
        if len(people) > 1 and name not in people:
            raise SettingError(
                f"--{polarity}: people's labels in this corpus are {', '.join(people)}, and "
                f"{name!r} is none of them"
            )
    if len(set(names.values())) < len(names):
        raise SettingError(f"two labels have one name: {', '.join(names.values())}")
    return names


def _found(polarity: Polarity, people: Sequence[str]) -> str | None:
    """The name that is not asked for: of the usual pairs the one that people use, too."""
    if polarity is Polarity.NEUTRAL:
        return None
    used = {name.lower(): name for name in people}
    pairs = [pair for pair in _PAIRS if used.keys() & set(pair)] if people else _PAIRS[:1]
    if len(pairs) != 1:
        raise SettingError(
            f"people's labels in this corpus are {', '.join(people)}: say by --{polarity} which "
            f"of them is the {polarity} one"
        )
    usual = pairs[0][polarity is Polarity.NEGATIVE]
    return used.get(usual, usual)
