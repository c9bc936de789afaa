"""The shared memory, seen from both sides: nothing that the child writes harms the worker."""

import os
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.images.decoder_child.arena import Arena, Layout, shared_file

LAYOUT = Layout(rows=3, image_bytes=100, shape=(2, 3, 3))


@pytest.fixture
def sides() -> Iterator[tuple[Arena, Arena]]:
    """The worker's side and the child's."""
    file = shared_file(LAYOUT.total_bytes)
    worker, child = Arena(file, LAYOUT), Arena(file, LAYOUT)
    os.close(file)
    yield worker, child
    worker.close()
    child.close()


def test_images_cross_one_way_and_pixels_the_other(sides: tuple[Arena, Arena]) -> None:
    """Byte for byte, the last row as well as the first."""
    worker, child = sides
    images = [b"first", b"", b"x" * 95]
    worker.fill(images)
    assert [child.image(0, 5), child.image(5, 0), child.image(5, 95)] == images
    pictures = np.arange(3 * 18, dtype=np.uint8).reshape(3, 2, 3, 3)
    for row, picture in enumerate(pictures):
        child.keep(row, picture)
    assert np.array_equal(worker.pixels(3), pictures)
    assert np.array_equal(worker.pixels(1), pictures[:1])


def test_pixels_do_not_change_under_the_worker(sides: tuple[Arena, Arena]) -> None:
    """They are copied out before they are used."""
    worker, child = sides
    seen = worker.pixels(1)
    child.keep(0, np.full((2, 3, 3), 7, np.uint8))
    assert (seen == 0).all()


@given(row=st.integers(0, 2**32 - 1), rows=st.integers(0, 64))
def test_the_row_in_work_is_one_of_the_batch_or_none(row: int, rows: int) -> None:
    """Whatever the child writes there."""
    file = shared_file(LAYOUT.total_bytes)
    arena = Arena(file, LAYOUT)
    os.close(file)
    arena.fill([])
    assert arena.row_in_work(rows) is None
    arena.begin(row)
    assert arena.row_in_work(rows) == (row if row < rows else None)
    arena.close()


def test_a_picture_of_another_size_is_not_laid_out(sides: tuple[Arena, Arena]) -> None:
    """It would lie in its neighbour's place."""
    _, child = sides
    with pytest.raises((ValueError, IndexError)):
        child.keep(0, np.zeros((2, 3, 4), np.uint8))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux seals files")
def test_nobody_changes_the_size_of_the_memory() -> None:
    """A child that cut it off would end the worker with SIGBUS."""
    file = shared_file(LAYOUT.total_bytes)
    try:
        for size in (0, LAYOUT.total_bytes * 2):
            with pytest.raises(PermissionError):
                os.ftruncate(file, size)
    finally:
        os.close(file)
