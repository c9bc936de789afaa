"""Work on a batch of which some may raise: what passed leaves, and the records that are to blame.

A batch that raises is halved until those stand alone that raise. Such a one is poison when it
raises again although a probe, a post of the worker's own, passes in between. Whatever else raises
is a fault of the machine or the model: no record may suffer from it. The border is drawn in
docs/decisions/0023.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
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
    """A batch without its poison; both in the order of the batch."""

    passed: Sequence[Passed[Item, Result]]
    poison: Sequence[Poison[Item]]


def sift(
    batch: Sequence[Item], work: Work[Item, Result], probe: Item, tries: int
) -> Sifted[Item, Result]:
    """Do `work` on all of `batch`, or on all of it but the poison; it was tried `tries` times.

    With p poisonous of n the work is called O(p log n) times. Raises MachineFault, and lets
    KeyboardInterrupt and SystemExit pass: they are orders, and nobody's fault.
    """
    try:
        return Sifted((Passed(batch, work(batch)),), ())
    except BaseException as error:  # noqa: BLE001 - native code raises what is no Exception.
        _see_whether_any_post_can_be_guilty_of(error)
    if len(batch) > 1:
        # A broken model is seen at once; of a lone record it is asked below.
        _see_it_pass(probe, work)
    found = _apart(batch, work, probe)
    if not found.passed and len(batch) > 1 and tries < WHOLE_BATCH_TRIES:
        errors = ", ".join(sorted({each.error for each in found.poison}))
        raise MachineFault(f"all {len(batch)} posts of a batch raise ({errors})")
    return found


class _Known(Enum):
    """What is known of a part of a batch that is left."""

    NOTHING = 0
    HOLDS_POISON = 1
    """The part around it raises, and the rest of that passes."""
    RAISES = 2
    """It was tried."""


def _apart(batch: Sequence[Item], work: Work[Item, Result], probe: Item) -> Sifted[Item, Result]:
    """Take a batch that raises apart; what passes on the way is not done again."""
    passed: list[Passed[Item, Result]] = []
    poison: list[Poison[Item]] = []
    waiting = deque([(batch, _Known.RAISES)])
    while waiting:
        part, known = waiting.popleft()
        if known is _Known.NOTHING or (known is _Known.HOLDS_POISON and len(part) == 1):
            tried = _tried(part, work)
            if tried is not None:
                passed.append(tried)
                continue
        if len(part) > 1:
            waiting.extendleft(reversed(_halved(part, work, passed)))
            continue
        _see_it_pass(probe, work)
        judged = _again(part, work)
        if isinstance(judged, Poison):
            poison.append(judged)
        else:
            passed.append(judged)
    return Sifted(passed, poison)


def _halved(
    part: Sequence[Item], work: Work[Item, Result], passed: list[Passed[Item, Result]]
) -> list[tuple[Sequence[Item], _Known]]:
    """Try the first half: when it passes, the other holds what raises, and need not be tried."""
    middle = len(part) // 2
    first, second = part[:middle], part[middle:]
    tried = _tried(first, work)
    if tried is None:
        return [(first, _Known.RAISES), (second, _Known.NOTHING)]
    passed.append(tried)
    return [(second, _Known.HOLDS_POISON)]


def _tried(part: Sequence[Item], work: Work[Item, Result]) -> Passed[Item, Result] | None:
    """Do the work on a part; None when it raises what a record may be guilty of."""
    try:
        return Passed(part, work(part))
    except BaseException as error:  # noqa: BLE001 - as above.
        _see_whether_any_post_can_be_guilty_of(error)
        return None


def _again(part: Sequence[Item], work: Work[Item, Result]) -> Passed[Item, Result] | Poison[Item]:
    """Try a record alone that has raised alone: what was a fault then may be over."""
    try:
        return Passed(part, work(part))
    except BaseException as error:  # noqa: BLE001 - as above.
        _see_whether_any_post_can_be_guilty_of(error)
        return Poison(part[0], name_of(error), place_of(error))


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
