"""Send posts of which one in a hundred makes the model's text graph raise."""

from typing import Final

from tests.chaos.oracle import posts_sent
from tests.chaos.scenario import Figures, Load, Place
from tests.chaos.sending import POISON, Posts, ordinary, post
from tests.chaos.trial import trial

EVERY: Final = 100


def run(place: Place, load: Load) -> Figures:
    """Exactly those become dead letters, under load."""
    with trial(place, load, posts=Posts(_make), raises_for=POISON) as tried:
        pass
    figures = tried.figures
    guilty = {s for s, number in posts_sent(tried.topics).items() if _is_guilty(int(number))}
    convicted = {s for s, reason in tried.found.reasons.items() if reason == "poison"}
    figures.hit("poisonous posts", len(guilty))
    figures.demand(len(guilty) == load.posts // EVERY, f"{len(guilty)} posts are poisonous")
    figures.demand(guilty <= convicted, f"{len(guilty - convicted)} got verdicts")
    figures.demand(convicted <= guilty, f"{len(convicted - guilty)} good posts are dead letters")
    return figures


def _is_guilty(number: int) -> bool:
    return number % EVERY == 1


def _make(number: int) -> bytes:
    return post(number, "房间" + POISON) if _is_guilty(number) else ordinary(number)
