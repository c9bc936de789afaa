"""A broker whose process dies at a step of a transaction: before it, or right after the commit."""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from tests.intercepted_broker import InterceptedBroker
from worker.kafka.broker import Broker

Given = TypeVar("Given")

COMMITTED: Final = "committed"
STEPS: Final = ("begin", "send", "settle", "offsets", "commit", COMMITTED)
"""Where it may die: before the call of that name, or, the last, after a commit."""

Meet = Callable[[str], None]


def mortal(broker: Broker, meet: Meet) -> Broker:
    """Have `meet` called with each step of the broker's transactions; it may not come back."""
    return InterceptedBroker(broker, _Mortal(meet))


class _Mortal:
    """Meets each call before it is done, and a commit once more after that."""

    def __init__(self, meet: Meet) -> None:
        self._meet = meet

    def around(self, call: str, work: Callable[[], Given]) -> Given:
        """Come to the call, and do it."""
        self._meet(call)
        given = work()
        if call == "commit":
            self._meet(COMMITTED)
        return given


class Life:
    """Counts the steps that are met, and ends at the so many-th of a kind; then it stays ended."""

    def __init__(self, deaths: Mapping[str, int], end: Callable[[], None]) -> None:
        self._left = dict(deaths)
        self._end = end
        self._over = False

    def meet(self, step: str) -> None:
        """Come to a step."""
        if step in self._left:
            self._left[step] -= 1
            self._over |= not self._left[step]
        if self._over:
            self._end()
