"""The benchmark of the decoder child, in short: what it measures is there, and is right."""

import pytest

from benchmarks import decoder_child
from worker.images.child_decoder import ChildDecoder


def test_each_figure_has_a_target_and_a_batch_loses_one_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Crossing at three sizes, a crash, a hang; nothing is asked of the speed of this machine."""
    monkeypatch.setattr(decoder_child, "SPARE_S", 0.0)
    figures = decoder_child.figures(rounds=1, crossings=64, faults=1)
    assert [(figure.at_most, figure.unit) for figure in figures] == [
        *((8, "µs"), (12, "µs"), (30, "µs")),
        *((50, "ms"), (50, "ms")),
    ]
    assert all(figure.found > 0 for figure in figures)


def test_a_batch_that_loses_more_than_the_poison_is_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A figure of wrong work counts for nothing."""
    monkeypatch.setattr(decoder_child, "SPARE_S", 0.0)
    monkeypatch.setattr(ChildDecoder, "decode", lambda _, images: [None] * len(images))
    with pytest.raises(RuntimeError, match="a crash cost more than one image"):
        decoder_child.figures(rounds=1, crossings=1, faults=1)


def test_the_products_child_starts_and_is_weighed() -> None:
    """Seconds and megabytes."""
    assert "MB resident" in decoder_child.start_and_memory()
