"""A bench that leaves no worker behind, for every test of the worker that asks for one."""

from collections.abc import Iterator

import pytest

from tests.unit.worker.bench import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A bench that leaves no worker behind."""
    bench = Bench()
    yield bench
    bench.classifier.may_go_on.set()
    bench.join()
