"""Decide what every post of a half expresses, before anything is composed or drawn."""

from dataclasses import dataclass
from random import Random

from tuwen.demo_corpus.moods import MOODS, Mood

NOISE_SHARE = 0.17
WRONG_SHARE = 0.03
INCOMPLETE_SHARE = 0.08


@dataclass(frozen=True, slots=True)
class PlannedPost:
    """A post to be made: its truth, and what each modality shows; None where it has none."""

    mood: Mood
    text: Mood | None
    image: Mood | None


def plan_posts(posts: int, chance: Random) -> list[PlannedPost]:
    """`posts` posts with balanced labels; each modality is corrupted independently."""
    moods = [MOODS[index % len(MOODS)] for index in range(posts)]
    chance.shuffle(moods)
    return [_planned(mood, chance) for mood in moods]


def _planned(mood: Mood, chance: Random) -> PlannedPost:
    text, image = _shown(mood, chance), _shown(mood, chance)
    if chance.random() >= INCOMPLETE_SHARE:
        return PlannedPost(mood, text, image)
    if chance.random() < 0.5:
        return PlannedPost(mood, None, image)
    return PlannedPost(mood, text, None)


def _shown(mood: Mood, chance: Random) -> Mood:
    draw = chance.random()
    if draw < NOISE_SHARE:
        return Mood.NONE
    if draw < NOISE_SHARE + WRONG_SHARE:
        return chance.choice([other for other in MOODS if other is not mood])
    return mood
