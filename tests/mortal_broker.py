"""A broker whose process dies at a step of a transaction: before it, or right after the commit."""

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from worker.kafka.broker import Broker

COMMITTED: Final = "committed"
STEPS: Final = ("begin", "send", "settle", "offsets", "commit", COMMITTED)
"""Where it may die: before the call of that name, or, the last, after a commit."""

Meet = Callable[[str], None]


def mortal(broker: Broker, meet: Meet) -> Broker:
    """Have `meet` called with each step of the broker's transactions; it may not come back."""
    return cast("Broker", _Mortal(broker, meet))


class _Mortal:
    def __init__(self, inner: Any, meet: Meet) -> None:
        self._inner = inner
        self._meet = meet

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._inner, name)

        def step(*arguments: Any, **named: Any) -> Any:
            self._meet(name)
            given = call(*arguments, **named)
            if name == "commit":
                self._meet(COMMITTED)
            return _Mortal(given, self._meet) if name == "begin" else given

        return step


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
