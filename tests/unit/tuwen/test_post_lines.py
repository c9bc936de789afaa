import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import Reason
from tuwen.post_lines import batches
from worker.messages import Read, Reject

POSTS_MAX = 3
LINE_BYTES_MAX = 60


def pieces(*given_pieces: bytes) -> Callable[[], bytes]:
    """Bytes as they arrive, and then no more."""
    left = iter(given_pieces)
    return lambda: next(left, b"")


def found(*given_pieces: bytes) -> list[list[tuple[int, str]]]:
    """Batches of the number of a line, and the post's id or the reason against it."""
    return [
        [
            (each.record.offset, each.post.id if isinstance(each, Read) else str(each.reason))
            for each in batch
        ]
        for batch in batches(pieces(*given_pieces), "posts.jsonl", POSTS_MAX, LINE_BYTES_MAX)
    ]


def line(name: str) -> bytes:
    """A post, with a text."""
    return b'{"id":"%s","text":"x"}' % name.encode()


def test_a_batch_is_what_has_arrived_and_no_more_than_it_may_be() -> None:
    """Nothing waits for a batch to fill; the last line needs no end."""
    first = b"\n".join((line("a"), line("b"), line("c"), line("d"), b""))

    assert found(first, line("e") + b"\n" + line("f")[:9], line("f")[9:]) == [
        [(1, "a"), (2, "b"), (3, "c")],
        [(4, "d")],
        [(5, "e")],
        [(6, "f")],
    ]


def test_a_broken_line_costs_that_line_alone() -> None:
    """Blank lines are none, and are counted; Windows ends lines in its own way."""
    whole = line("a") + b"\r\n\n{\xff\n" + line("b") + b"\n  \n"

    assert found(whole) == [[(1, "a"), (3, "malformed-json"), (4, "b")]]


def test_a_line_that_is_too_long_is_told_and_not_kept() -> None:
    """However much of it there is, before its end and after."""
    endless = [b"x" * 50] * 100

    assert found(line("a") + b"\n", *endless, b"x\n" + line("b")) == [
        [(1, "a")],
        [(2, "out-of-range")],
        [(3, "b")],
    ]
    [[reject]] = batches(pieces(*endless), "posts.jsonl", POSTS_MAX, LINE_BYTES_MAX)
    assert isinstance(reject, Reject)
    assert reject.detail == "the line is longer than 60 bytes"
    assert (reject.reason, reject.record.value) == (Reason.OUT_OF_RANGE, b"")


def test_no_more_of_a_long_line_is_held_than_its_bound_and_a_piece() -> None:
    """A file of one endless line must not fill the memory."""
    left = iter(range(2_000))

    def endless() -> bytes:
        return b"" if next(left, None) is None else bytes(50)

    tracemalloc.start()
    list(batches(endless, "posts.jsonl", POSTS_MAX, LINE_BYTES_MAX))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000


@given(
    st.lists(st.sampled_from([line("a"), line("b"), b"", b"{", b" "]), max_size=8),
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
)
def test_how_the_bytes_arrive_changes_nothing(lines: list[bytes], lengths: list[int]) -> None:
    """Each line that holds something comes once, in order, under its number."""
    whole = b"\n".join(lines)
    cut: list[bytes] = []
    start = 0
    while start < len(whole):
        length = lengths[len(cut) % len(lengths)]
        cut.append(whole[start : start + length])
        start += length
    expected = [number for number, each in enumerate(lines, 1) if each.strip()]

    assert [number for batch in found(*cut) for number, _ in batch] == expected


@pytest.mark.parametrize("ending", [b"", b"\n", b"\n\n"])
def test_where_there_is_nothing_there_is_no_batch(ending: bytes) -> None:
    """Not even an empty one."""
    assert found(ending) == []
