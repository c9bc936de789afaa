"""Every test of this folder runs against the cluster in memory and against the real one."""

import itertools
from collections.abc import Iterator

import pytest

from tests.contract.harness import Bench, InMemory, MakeTopic, Real

_groups = itertools.count(1)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def cluster(request: pytest.FixtureRequest) -> InMemory | Real:
    """A cluster; the real one is shared by all tests, with topics of their own."""
    if request.param == "memory":
        return InMemory()
    make_topic: MakeTopic = request.getfixturevalue("make_topic")
    return Real(request.getfixturevalue("kafka"), make_topic)


@pytest.fixture
def bench(cluster: InMemory | Real) -> Iterator[Bench]:
    """Topics with two partitions each and a group that no other test uses."""
    made = Bench(cluster, cluster.topic(2), cluster.topic(2), f"group-{next(_groups)}")
    yield made
    made.close()
