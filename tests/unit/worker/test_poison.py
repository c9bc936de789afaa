"""Who is to blame for a batch that raises: one record, or the machine and the model."""

import errno
from collections.abc import Callable, Sequence
from itertools import chain
from math import ceil, log2

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.images.decoder_child.child import DecoderUnavailable
from worker.images.file import ImageRootError
from worker.poison import WHOLE_BATCH_TRIES, MachineFault, Poison, Sifted, sift

PROBE = "probe"
SECRET = "今天的酒店"


class PanicException(BaseException):
    """What native code raises: no Exception."""


class Desk:
    """Works on batches, and raises for what it is told to; keeps what it was given."""

    def __init__(self, raising: Callable[[str], BaseException | None]) -> None:
        self.raising = raising
        self.batches: list[list[str]] = []

    def work(self, batch: Sequence[str]) -> list[str]:
        """Give each word back, or raise for the first that is bad."""
        self.batches.append(list(batch))
        for each in batch:
            error = self.raising(each)
            if error is not None:
                raise error
        return list(batch)

    def sift(self, batch: Sequence[str], tries: int = 0) -> Sifted[str, list[str]]:
        """Sift a batch with this desk's work."""
        return sift(batch, self.work, PROBE, tries)


def poison_at(*places: int) -> Callable[[str], BaseException | None]:
    """Raise for these numbers."""
    bad = {str(place) for place in places}
    return lambda each: ValueError(SECRET) if each in bad else None


def numbers(count: int) -> list[str]:
    """A batch of so many."""
    return [str(number) for number in range(count)]


@given(
    st.integers(1, 80).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.integers(0, size - 1)))
    )
)
@example((2, {0, 1}))
def test_exactly_the_poison_is_found_in_few_calls(batch: tuple[int, set[int]]) -> None:
    """Whichever records raise: those and no others, each once, in p (log2 n + 3) + 1 calls."""
    size, bad = batch
    desk = Desk(poison_at(*bad))
    found = desk.sift(numbers(size), tries=WHOLE_BATCH_TRIES)
    assert sorted(int(each.item) for each in found.poison) == sorted(bad)
    passed = [each for part in found.passed for each in part.result]
    assert sorted(map(int, passed)) == [n for n in range(size) if n not in bad]
    assert [each for part in found.passed for each in part.items] == passed
    assert len(desk.batches) <= 1 + len(bad) * (ceil(log2(size)) + 3)


def test_what_passes_tells_where_the_poison_is() -> None:
    """The rest of a part that raises is not tried as a whole when its first half passed."""
    desk = Desk(poison_at(63))
    desk.sift(numbers(64))
    assert [len(batch) for batch in desk.batches] == [64, 32, 16, 8, 4, 2, 1, 1, 1]
    assert desk.batches[-2:] == [[PROBE], ["63"]]


def test_what_was_not_tried_is_tried_together() -> None:
    """In the order of the batch: poison is seldom, so all of it passes."""
    desk = Desk(poison_at(0))
    desk.sift(numbers(64))
    assert [len(batch) for batch in desk.batches] == [64, 32, 16, 8, 4, 2, 1, 1, 1, 63]
    assert desk.batches[-1] == numbers(64)[1:]


def test_a_lone_post_raises_twice_before_it_is_poison() -> None:
    """And the probe passes in between: whoever kills a child kills two."""
    desk = Desk(poison_at(0))
    desk.sift(["0"])
    assert desk.batches == [["0"], [PROBE], ["0"]]


def test_a_fault_of_the_machine_passes_as_it_is() -> None:
    """Work may know better than its exceptions whose fault it is."""
    desk = Desk(lambda each: MachineFault("the disk") if each == "3" else None)
    with pytest.raises(MachineFault, match="the disk"):
        desk.sift(numbers(8))
    assert PROBE not in chain.from_iterable(desk.batches)


def test_a_batch_that_passes_is_worked_on_once() -> None:
    """And nothing else is: no probe, no halves."""
    desk = Desk(poison_at())
    assert desk.sift(numbers(8)).poison == []
    assert desk.batches == [numbers(8)]


def test_what_native_code_raises_is_poison_too() -> None:
    """It derives from BaseException alone, and is named by its class, without its words."""
    desk = Desk(lambda each: PanicException(SECRET) if each == "3" else None)
    (poison,) = desk.sift(numbers(8)).poison
    assert poison.item == "3"
    assert poison.error == f"{__name__}.PanicException"
    assert poison.place.startswith("test_poison.py:")


def test_a_record_that_raises_once_is_no_poison() -> None:
    """What was a fault then is over: it is tried again by itself."""
    seen: list[str] = []

    def raising(each: str) -> BaseException | None:
        seen.append(each)
        return ValueError() if each == "2" and seen.count("2") <= 2 else None

    found = Desk(raising).sift(numbers(4))
    assert found.poison == []
    assert [each for part in found.passed for each in part.result] == numbers(4)


@pytest.mark.parametrize("size", [1, 2, 64])
def test_when_the_probe_raises_the_model_is_at_fault(size: int) -> None:
    """No record is to blame; the probe is the worker's own, so its error may be told in full."""
    desk = Desk(lambda _: ValueError("no such weight"))
    with pytest.raises(MachineFault, match=r"own post raises ValueError at .*no such weight"):
        desk.sift(numbers(size), tries=100)
    assert desk.batches[-1] == [PROBE]
    assert len(desk.batches) == 2 + log2(size)


def test_a_model_that_breaks_in_the_middle_of_the_search_convicts_nobody() -> None:
    """The probe passes before the first that is judged; it is worked on again before the next."""
    calls: list[str] = []

    def raising(each: str) -> BaseException | None:
        broken = PROBE in calls or each == "0"
        calls.append(each)
        return ValueError() if broken else None

    with pytest.raises(MachineFault, match="own post raises"):
        Desk(raising).sift(numbers(8))


def test_a_whole_batch_that_raises_is_a_fault_at_first() -> None:
    """Though the probe passes; one that goes on raising is poison, or its partition stood still."""
    desk = Desk(poison_at(0, 1, 2))
    for tries in range(WHOLE_BATCH_TRIES):
        with pytest.raises(MachineFault, match=r"all 3 posts of a batch raise \(ValueError\)"):
            desk.sift(numbers(3), tries)
    found = desk.sift(numbers(3), WHOLE_BATCH_TRIES)
    assert [each.item for each in found.poison] == numbers(3)


def test_a_lone_post_is_poison_at_once() -> None:
    """The probe is its only mate."""
    assert len(Desk(poison_at(0)).sift(["0"]).poison) == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EIO, "Input/output error", SECRET),
        ImageRootError(errno.ENOENT, "image_root /images cannot be opened"),
        DecoderUnavailable("no decoder child starts"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_post_is_to_blame_for_memory_disk_or_decoder(error: BaseException) -> None:
    """Even when all others pass; the file that the trouble was with is not told."""
    desk = Desk(lambda each: error if each == "3" else None)
    with pytest.raises(MachineFault) as fault:
        desk.sift(numbers(8), tries=100)
    assert SECRET not in str(fault.value)


def test_an_error_of_a_format_is_no_error_of_the_disk() -> None:
    """Libraries raise OSError without a number for bytes that they cannot read."""
    desk = Desk(lambda each: OSError("broken stream") if each == "3" else None)
    assert [each.item for each in desk.sift(numbers(8)).poison] == ["3"]


@pytest.mark.parametrize("order", [KeyboardInterrupt, SystemExit])
def test_an_order_to_end_is_obeyed(order: type[BaseException]) -> None:
    """It is nobody's fault, and never caught."""
    with pytest.raises(order):
        Desk(lambda each: order() if each == "3" else None).sift(numbers(8))


def test_poison_names_no_message() -> None:
    """The words of an exception may quote the post."""
    (poison,) = Desk(poison_at(1)).sift(numbers(4)).poison
    assert poison == Poison("1", "ValueError", poison.place)
    assert SECRET not in repr(poison)
