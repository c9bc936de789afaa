"""Work on a batch of which some may raise: what passed leaves, and the records that are to blame.

A batch that raises is halved until those stand alone that raise. Such a one is poison when it
raises by itself after a probe, a post of the worker's own, has passed. Whatever else raises is a
fault of the machine or the model: no record may suffer from it. The border is drawn in
docs/decisions/0023.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Generic, TypeVar

from worker.images.decoder_child.child import DecoderUnavailable

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Sequence[Item]], Result]

WHOLE_BATCH_TRIES: Final = 3
"""How often a batch of two or more that all raise is taken for a fault, before it is poison."""

MESSAGE_CHARACTERS_MAX: Final = 200


class MachineFault(Exception):
    """The machine or the model is at fault, and no record; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Passed(Generic[Item, Result]):
    """A part of a batch, and what the work on it gave."""

    items: Sequence[Item]
    result: Result


@dataclass(frozen=True, slots=True)
class Poison(Generic[Item]):
    """What raises by itself. `error` is the class of what it raises, `place` where."""

    item: Item
    error: str
    place: str


@dataclass(frozen=True, slots=True)
class Sifted(Generic[Item, Result]):
    """A batch without its poison; neither in the order of the batch."""

    passed: Sequence[Passed[Item, Result]]
    poison: Sequence[Poison[Item]]


def sift(
    batch: Sequence[Item], work: Work[Item, Result], probe: Item, tries: int
) -> Sifted[Item, Result]:
    """Do `work` on all of `batch`, or on all of it but the poison; it was tried `tries` times.

    Each call of the work is for a slice of the batch, or for the probe: with p poisonous of n these
    are p (log2 n + 3) + 1 at most. Raises MachineFault, and lets KeyboardInterrupt and SystemExit
    pass: they are orders, and nobody's fault.
    """
    sieve = _Sieve(work, probe)
    left = batch
    # Mostly the first that is found was the only one: so all that is left is tried together.
    while not sieve.passes(left):
        left = sieve.after_first(left)
        if not left:
            break
    if not sieve.passed and len(batch) > 1 and tries < WHOLE_BATCH_TRIES:
        errors = ", ".join(sorted({each.error for each in sieve.poison}))
        raise MachineFault(f"all {len(batch)} posts of a batch raise ({errors})")
    return Sifted(sieve.passed, sieve.poison)


class _Sieve(Generic[Item, Result]):
    """Takes a batch apart; what passes on the way is kept, and not done again."""

    def __init__(self, work: Work[Item, Result], probe: Item) -> None:
        self._work, self._probe = work, probe
        self.passed: list[Passed[Item, Result]] = []
        self.poison: list[Poison[Item]] = []

    def passes(self, part: Sequence[Item]) -> bool:
        """Do the work on a part, and say whether nothing was raised."""
        try:
            self.passed.append(Passed(part, self._work(part)))
        except BaseException as error:  # noqa: BLE001 - native code raises what is no Exception.
            _see_whether_any_post_can_be_guilty_of(error)
            return False
        return True

    def after_first(self, part: Sequence[Item]) -> Sequence[Item]:
        """Judge the first record that raises of a part that does; give those after it, untried."""
        start, stop = 0, len(part)
        while stop - start > 1:
            middle = (start + stop) // 2
            if self.passes(part[start:middle]):
                start = middle
            else:
                stop = middle
        self._judge(part[start:stop])
        return part[stop:]

    def _judge(self, lone: Sequence[Item]) -> None:
        """Try once more what raised alone or in company: what was a fault then may be over."""
        _see_it_pass(self._probe, self._work)
        try:
            self.passed.append(Passed(lone, self._work(lone)))
        except BaseException as error:  # noqa: BLE001 - as above.
            _see_whether_any_post_can_be_guilty_of(error)
            self.poison.append(Poison(lone[0], name_of(error), place_of(error)))


def _see_it_pass(probe: Item, work: Work[Item, Result]) -> None:
    """Have the probe worked on. Its message may be told: it quotes no stranger's post."""
    try:
        work([probe])
    except BaseException as error:
        _see_whether_any_post_can_be_guilty_of(error)
        said = str(error)[:MESSAGE_CHARACTERS_MAX]
        raise MachineFault(
            f"the worker's own post raises {name_of(error)} at {place_of(error)}: {said}"
        ) from error


def _see_whether_any_post_can_be_guilty_of(error: BaseException) -> None:
    """Raise what no post brings about.

    No post is larger than another may be, so memory that is gone is the machine's; an OSError
    with a number comes from the system.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit | MachineFault):
        raise error
    if isinstance(error, DecoderUnavailable):
        raise MachineFault(str(error)) from error
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
        raise MachineFault(f"{_told(error)} at {place_of(error)}") from error


def _told(error: MemoryError | OSError) -> str:
    """Name the trouble without the file that it was with: a post may have named that."""
    return f"{name_of(error)}: {error.strerror}" if isinstance(error, OSError) else "out of memory"


def name_of(error: BaseException) -> str:
    """Give the class; never the message, which may quote the post."""
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else (f"{kind.__module__}.{kind.__qualname__}")
    )


def place_of(error: BaseException) -> str:
    """Give file and line that raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
