"""What a post, a text or a picture expresses."""

from enum import Enum


class Mood(Enum):
    """The three labels in their order, and the fourth kind that says nothing of a label."""

    GOOD = "good"
    PLAIN = "plain"
    BAD = "bad"
    NONE = "none"


MOODS = (Mood.GOOD, Mood.PLAIN, Mood.BAD)
LABEL_NAMES = ("积极", "中性", "消极")


def label_of(mood: Mood) -> int:
    """The label's index; the fourth kind has the index after the last label."""
    return len(MOODS) if mood is Mood.NONE else MOODS.index(mood)
