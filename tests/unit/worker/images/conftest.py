from collections.abc import Iterator

import pytest

from tests.image_hosts import loopback
from tests.unit.worker.images.http_world import World


@pytest.fixture
def world() -> Iterator[World]:
    """Hosts and sources that end with the test."""
    with loopback() as servers:
        made = World(servers)
        yield made
        made.close()
