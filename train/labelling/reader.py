"""A text to what a lexicon says of it: cleaned as for training, cut into clauses and words."""

from collections.abc import Iterable, Sequence
from typing import Final

from features.clean import clean
from features.cutter import Cutter
from schemas.manifest import FileSpec, TextBlock
from train.labelling.lexicon import WORD, Lexicon
from train.labelling.rule import Modifiers, Polarity, RuleSettings, decide, weigh

_BLOCK: Final = TextBlock(name="words", vocabulary=FileSpec("", "", 0))


class Reader:
    """One lexicon, with a cutter of 25 MB that keeps its words whole."""

    def __init__(self, lexicon: Lexicon, modifiers: Modifiers, settings: RuleSettings) -> None:
        self._lexicon, self._modifiers, self._settings = lexicon, modifiers, settings
        known = (*lexicon.polarities, *modifiers.negations, *modifiers.degrees)
        self._cutter = Cutter(user_words(known))

    def label(self, text: str) -> Polarity | None:
        """What the text is by this lexicon, or None."""
        clauses = [self._cutter.cut(clause) for clause in clauses_of(text)]
        polarities, window = self._lexicon.polarities, self._settings.window
        return decide(weigh(clauses, polarities, self._modifiers, window), self._settings)


def clauses_of(text: str) -> Sequence[str]:
    """What stands between signs and white space; each sign is a clause of its own."""
    return WORD.findall(clean(_BLOCK, text))


def user_words(known: Iterable[str]) -> tuple[str, ...]:
    """Those that would not be cut as one word, in a fixed order."""
    plain = Cutter()
    return tuple(word for word in sorted(set(known)) if plain.cut(word) != [word])
