"""A decoder with children: what ends a child costs one image, and nothing else."""

import io
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from structlog.testing import capture_logs

from features.images import ImageLimits, ImageProblem, Pixels
from schemas.manifest import ImageInput
from schemas.reasons import Reason
from tests.unit.worker.images.decoder_child.decoders import (
    IMPATIENT,
    NEEDS,
    SPEC,
    alike,
    decoding,
    here,
    one_child,
    png,
    poison,
)
from worker.images.child_decoder import ChildDecoder, apart
from worker.images.decoder_child import child as child_module
from worker.images.decoder_child.child import (
    COMMAND,
    DecoderUnavailable,
    Ended,
    Ending,
    Needs,
)
from worker.images.decoder_child.conversation import (
    FRAME_HEAD_BYTES,
    Answer,
    Lock,
    Problem,
    Ready,
    frame,
)

GOOD = [png(grey) for grey in range(31)]
CRASHED = ImageProblem(Reason.IMAGE_DECODER_CRASHED, "the decoder crashes over it")
TOO_SLOW = ImageProblem(Reason.IMAGE_DECODING_TOO_SLOW, "not decoded within 0.3 s")

Found = list[Pixels | ImageProblem]


@pytest.fixture(scope="module")
def decoder() -> Iterator[ChildDecoder]:
    """A decoder of children that know poison; each test leaves it with a child that is ready."""
    with decoding() as (decoder, _):
        yield decoder


def assert_only(found: Found, images: list[bytes], bad: dict[int, ImageProblem]) -> None:
    """The bad rows have their problems, and all others the pixels they have anyway."""
    expected = [bad.get(row, here(image)) for row, image in enumerate(images)]
    assert [alike(*pair) for pair in zip(found, expected, strict=True)] == [True] * len(images)


def test_a_child_gives_what_decoding_here_gives() -> None:
    """Pixels and reasons, in order; the real child, over images of every fate."""
    images = [png(3), b"no image", png(4, (3000, 3000)), b"x" * (9 << 20), png(5)[:40], b""]
    with decoding(command=COMMAND) as (decoder, endings):
        found = decoder.decode(images)
        assert decoder.decode([]) == []
    assert_only(found, images, {})
    assert [problem.reason for problem in found if isinstance(problem, ImageProblem)] == [
        Reason.IMAGE_FORMAT_UNKNOWN,
        Reason.IMAGE_TOO_MANY_PIXELS,
        Reason.IMAGE_TOO_LARGE,
        Reason.IMAGE_DAMAGED,
        Reason.IMAGE_FORMAT_UNKNOWN,
    ]
    assert endings == []


def test_grey_pixels_cross_as_well() -> None:
    """One channel is C = 1."""
    needs = Needs(ImageInput(5, 7, channels=1, colours="L"), NEEDS.limits, 20)
    with decoding(needs, COMMAND) as (decoder, _):
        [found] = decoder.decode([png(9)])
    assert alike(found, here(png(9), needs))


@pytest.mark.parametrize("place", [0, 7, 31])
@pytest.mark.parametrize("deed", ["segfault", "abort", "leave", "start_program"])
def test_an_image_that_ends_the_child_costs_itself_alone(
    decoder: ChildDecoder, deed: str, place: int
) -> None:
    """The spare goes on with the rest of the batch."""
    images = [*GOOD[:place], poison(deed), *GOOD[place:]]
    assert_only(decoder.decode(images), images, {place: CRASHED})


@pytest.mark.timeout(30)
def test_an_image_that_never_ends_costs_itself_alone() -> None:
    """After its time is up; those before it may have taken theirs."""
    images = [*GOOD[:5], poison("spin"), *GOOD[5:]]
    with decoding(IMPATIENT) as (decoder, endings):
        assert_only(decoder.decode(images), images, {5: TOO_SLOW})
    assert endings == [Ending.TIMED_OUT]


@pytest.mark.timeout(30)
def test_a_child_that_names_ever_other_images_is_ended_all_the_same() -> None:
    """Each image's time is counted once: a batch ends, whatever the index says."""
    images = [*GOOD[:2], poison("race_ahead")]
    with decoding(IMPATIENT) as (decoder, endings):
        found = decoder.decode(images)
    assert isinstance(found[2], ImageProblem)
    assert endings[0] == Ending.TIMED_OUT


@pytest.mark.parametrize("liar", ["lie", "name_nobody"])
def test_a_lie_about_the_culprit_ends_with_the_culprit(decoder: ChildDecoder, liar: str) -> None:
    """One image may be lost to a lie; from the second fault on each is decoded alone."""
    images = [*GOOD[:10], poison(liar), *GOOD[10:]]
    found = decoder.decode(images)
    lost = {row for row, each in enumerate(found) if isinstance(each, ImageProblem)}
    assert 10 in lost
    assert lost <= {0, 10}
    assert_only(found, images, dict.fromkeys(lost, CRASHED))


def test_many_poisons_in_a_batch_cost_only_themselves(decoder: ChildDecoder) -> None:
    """Beside each other, first and last."""
    places = {0, 1, 15, 31}
    images = [poison("segfault") if row in places else png(row) for row in range(32)]
    assert_only(decoder.decode(images), images, dict.fromkeys(places, CRASHED))


@pytest.mark.parametrize(
    "words",
    [
        *("say_much", "say_too_much", "say_nonsense", "say_half", "say_another_batch"),
        *("say_another_row", "say_another_reason", "say_it_in_chinese", "drip"),
    ],
)
@pytest.mark.timeout(60)
def test_a_child_that_says_what_no_child_says_is_ended(words: str) -> None:
    """Nothing of it is believed, and the next one is asked."""
    images = [png(1), poison(words), png(2)]
    with decoding() as (decoder, endings):
        found = decoder.decode(images)
    assert alike(found[0], here(images[0]))
    assert alike(found[2], here(images[2]))
    assert found[1] == ImageProblem(
        Reason.IMAGE_DECODER_CRASHED, "the decoder answers what is no answer over it"
    )
    assert set(endings) == {Ending.MISBEHAVED}


@pytest.mark.parametrize(
    "answer",
    [
        Answer(2, ()),
        Answer(1, (Problem(2, Reason.IMAGE_DAMAGED, ""),)),
        Answer(1, (Problem(0, Reason.IMAGE_DAMAGED, "好"),)),
        Answer(1, (Problem(0, Reason.IMAGE_DAMAGED, "x" * 201),)),
        Ready(("landlock",)),
    ],
)
def test_an_answer_to_something_else_is_none(
    answer: Answer | Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another batch, a row that was not asked for, words that are no detail, no answer at all.

    Nor is a row to blame: the child has gone on since.
    """
    with one_child() as child:
        monkeypatch.setattr(child, "_heard", lambda: frame(answer)[FRAME_HEAD_BYTES:])
        assert child.decode([png(1), png(2)]) == Ended(Ending.MISBEHAVED, None)


def test_a_child_killed_while_idle_costs_no_image() -> None:
    """An operator, or a kernel out of memory, is no fault of the next image."""
    with decoding() as (decoder, endings):
        decoder.decode(GOOD)
        os.kill(decoder.pid, signal.SIGKILL)
        assert_only(decoder.decode(GOOD), GOOD, {})
    assert endings == [Ending.KILLED]


def test_a_child_killed_at_work_is_asked_again_once() -> None:
    """An image that takes all memory of the machine is killed again, and is the culprit."""
    images = [png(1), poison("spin"), png(2)]
    with decoding() as (decoder, endings):
        found: Found = []
        thread = threading.Thread(target=lambda: found.extend(decoder.decode(images)))
        thread.start()
        while thread.is_alive():
            with suppress(psutil.NoSuchProcess):
                current = psutil.Process(decoder.pid)
                # It took less to start: it is at the poison.
                if current.cpu_times().user > 0.4:
                    current.kill()
            time.sleep(0.01)
        thread.join()
    killed = ImageProblem(Reason.IMAGE_DECODER_CRASHED, "the decoder was killed over it")
    assert endings[:2] == [Ending.KILLED, Ending.KILLED]
    assert_only(found, images, {1: killed})


def test_a_child_that_has_worked_long_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two batches, and no image is lost."""
    monkeypatch.setattr(child_module, "LIFE_S", 0.0)
    with decoding(command=COMMAND) as (decoder, endings):
        assert_only(decoder.decode(GOOD), GOOD, {})
        assert_only(decoder.decode(GOOD), GOOD, {})
    assert endings == [Ending.WORN_OUT] * 2


def test_the_largest_images_have_the_memory_that_they_need() -> None:
    """A transparent WebP takes the most of all kinds: 24 bytes a pixel, at the cap of pixels."""
    needs = Needs(SPEC, ImageLimits(1 << 20, 16_000_000), 20)
    written = io.BytesIO()
    Image.new("RGBA", (4000, 4000), (9, 8, 7, 100)).save(written, "WEBP", lossless=True, method=0)
    with one_child(needs) as child:
        [found] = answered(child.decode([written.getvalue()]))
    assert alike(found, here(written.getvalue(), needs))


def answered(answer: Found | Ended) -> Found:
    """What was found; it must be an answer."""
    assert not isinstance(answer, Ended), answer
    return answer


def test_more_images_than_one_request_holds_are_asked_for_in_several() -> None:
    """By their number, and by their bytes together."""
    large = Needs(SPEC, ImageLimits(5 << 20, 4_000_000), 20)
    padded = [png(grey) + b"\0" * (3 << 20) for grey in range(5)]
    with decoding(large, COMMAND) as (decoder, _):
        many = decoder.decode(GOOD * 5)
        heavy = decoder.decode(padded)
    assert_only(many, GOOD * 5, {})
    assert [alike(*pair) for pair in zip(heavy, map(here, GOOD), strict=False)] == [True] * 5


def test_the_log_says_what_a_child_is_not_confined_by(decoder: ChildDecoder) -> None:
    """An operator is warned where the system has less than Linux has."""
    few: tuple[Lock, ...] = ("resource-limits",)
    with capture_logs() as logs:
        decoder._log_locks(few)
        decoder._log_locks(decoder._child.locks)
    assert [(log["log_level"], log.get("not_by")) for log in logs] == [
        ("warning", ["no-new-privileges", "landlock", "seccomp"]),
        ("info", None),
    ]


def test_a_child_that_cannot_start_is_said_and_no_image_blamed() -> None:
    """The words of the child are in the error."""
    command = (COMMAND[0], "-c", "raise SystemExit('no such library')")
    with pytest.raises(DecoderUnavailable, match="no such library"):
        ChildDecoder(NEEDS, lambda _: None, command)
    with pytest.raises(DecoderUnavailable, match="No such file"):
        ChildDecoder(NEEDS, lambda _: None, ("/nowhere/python",))


def first_found(decoder: ChildDecoder, images: list[bytes]) -> Found:
    """What is found once a child has started."""
    deadline_s = time.monotonic() + 20
    while True:
        try:
            return decoder.decode(images)
        except DecoderUnavailable:
            assert time.monotonic() < deadline_s


def test_a_decoder_goes_on_once_children_start_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine out of memory or processes blames no image, and may recover."""

    def fail() -> None:
        raise OSError(12, "no memory")

    with decoding() as (decoder, _):
        monkeypatch.setattr(decoder._spare, "_start", fail)
        # The one in use, and the spare.
        for _ in range(2):
            with suppress(DecoderUnavailable, ProcessLookupError):
                os.kill(decoder.pid, signal.SIGKILL)
                decoder.decode(GOOD)
        with pytest.raises(DecoderUnavailable, match="no memory"):
            decoder.decode(GOOD)
        monkeypatch.undo()
        found = first_found(decoder, GOOD)
        assert_only(found, GOOD, {})


@pytest.mark.timeout(30)
def test_a_closed_decoder_leaves_no_process_behind() -> None:
    """Neither the child nor the spare, and at once, even in the middle of an endless image."""
    others = children()
    # The end of its time is not what ends it.
    with decoding(Needs(SPEC, NEEDS.limits, 60)) as (decoder, _):
        failures: list[BaseException] = []

        def decode() -> None:
            try:
                decoder.decode([poison("spin")])
            except DecoderUnavailable as error:
                failures.append(error)

        thread = threading.Thread(target=decode)
        thread.start()
        own = children() - others
        assert len(own) >= 1
        decoder.close()
        thread.join()
    assert len(failures) == 1
    assert [each for each in own if each.is_running()] == []


def children() -> set[psutil.Process]:
    """The children of this process."""
    return set(psutil.Process().children())


# Whom a fault is blamed on.


@given(
    count=st.integers(1, 64),
    why=st.sampled_from(list(Ending)),
    row=st.one_of(st.none(), st.integers(0, 63)),
    faults=st.integers(1, 9),
)
def test_a_fault_loses_no_row_and_goes_on_with_less(
    count: int, why: Ending, row: int | None, faults: int
) -> None:
    """Each row is to blame or decoded again; only a first fault from outside repeats them all."""
    rows = list(range(100, 100 + count))
    ended = Ended(why, None if row is None else min(row, count - 1))
    culprit, again = apart(rows, ended, faults)
    blamed = [] if culprit is None else [culprit]
    assert sorted([*blamed, *(row for part in again for row in part)]) == rows
    outside = why is Ending.KILLED or ended.row is None
    if outside and faults == 1:
        assert again == [rows]
    else:
        assert all(len(part) < count for part in again)
        assert culprit is None or faults == 1 or count == 1
