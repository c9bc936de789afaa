"""The scenarios of `make chaos` that need no broker of their own, shorter."""

import time
from pathlib import Path

import pytest

from tests.chaos.scenario import Place
from tests.chaos.table import by_name

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize("name", ["images", "scale", "replay", "poison"])
def test_nothing_is_lost_and_nothing_comes_twice(name: str, kafka: str, tmp_path: Path) -> None:
    """Nor is anything else wrong, and the fault did hit.

    `images` kills as `kill` does.
    """
    scenario = by_name(name)
    place = Place(f"{name}-{time.monotonic_ns()}", tmp_path, kafka)
    figures = scenario.run(place, scenario.short)
    assert figures.failures == []
    assert figures.posts == scenario.short.posts
