import math

import pytest
from yarl import URL

from worker.images import host_health
from worker.images.host_health import FAILURES_MAX, LEFT_ALONE_S, PROBE_S, HostHealth, Hosts


def test_a_host_that_never_answered_is_left_alone_at_once() -> None:
    """A dead host costs one timeout."""
    health = HostHealth(1)
    assert health.may_be_asked(0)
    health.failed(5)
    assert (health.may_be_asked(5), health.left_alone) == (False, True)


def test_a_host_that_answered_of_late_may_fail_some_times_in_a_row() -> None:
    """One slow image among many is no dead host."""
    health = HostHealth(1)
    health.answered(0)
    for _ in range(FAILURES_MAX - 1):
        health.failed(1)
    assert health.may_be_asked(1)
    health.failed(1)
    assert not health.may_be_asked(1)


def test_a_host_that_answers_that_it_cannot_may_do_so_some_times_in_a_row() -> None:
    """Though it never gave anything: it is there, costs no time, and may do better soon."""
    health = HostHealth(1)
    for _ in range(FAILURES_MAX - 1):
        health.unable(0)
    assert (health.left_alone, health.again_s(0)) == (False, 0)
    health.unable(0)
    assert health.again_s(0) == math.inf
    assert health.may_be_asked(LEFT_ALONE_S)
    health.unable(LEFT_ALONE_S)
    assert not health.may_be_asked(LEFT_ALONE_S + 1)


def test_an_answer_forgives_what_failed() -> None:
    """Only failures in a row count."""
    health = HostHealth(1)
    health.answered(0)
    for _ in range(3 * FAILURES_MAX):
        health.failed(1)
        health.answered(1)
    assert health.may_be_asked(1)


def test_an_answer_of_long_ago_counts_for_nothing() -> None:
    """What was well a minute ago and fails now is left alone."""
    health = HostHealth(1)
    health.answered(0)
    health.failed(LEFT_ALONE_S)
    assert not health.may_be_asked(LEFT_ALONE_S)


def test_a_host_is_well_that_answered_of_late_and_has_not_failed_since() -> None:
    """Only such a one is worth waiting for."""
    health = HostHealth(1)
    unknown = health.well(0)
    health.answered(0)
    answered = health.well(LEFT_ALONE_S - 1)
    long_ago = health.well(LEFT_ALONE_S)
    health.answered(LEFT_ALONE_S)
    health.failed(LEFT_ALONE_S)
    failed = health.well(LEFT_ALONE_S)
    assert (unknown, answered, long_ago, failed) == (False, True, False, False)


def test_once_a_minute_one_post_asks_whether_the_host_is_back() -> None:
    """Alone: the others are still refused."""
    health = HostHealth(1)
    health.failed(0)
    assert not health.may_be_asked(LEFT_ALONE_S - 1)
    assert [health.may_be_asked(LEFT_ALONE_S) for _ in range(3)] == [True, False, False]
    health.failed(LEFT_ALONE_S + 1)
    assert not health.may_be_asked(2 * LEFT_ALONE_S)
    assert health.may_be_asked(2 * LEFT_ALONE_S + 1)
    health.answered(2 * LEFT_ALONE_S + 1)
    assert (health.may_be_asked(2 * LEFT_ALONE_S + 1), health.left_alone) == (True, False)


def test_a_host_that_is_well_but_asked_in_vain_is_asked_again() -> None:
    """What tells nothing of the host leaves it to the next to find out."""
    health = HostHealth(1)
    health.failed(0)
    assert health.may_be_asked(LEFT_ALONE_S)
    health.undecided()
    assert health.may_be_asked(LEFT_ALONE_S)


def test_it_is_said_when_to_ask_again_may_help() -> None:
    """At once, when the host's own time is over, or not while any post waits."""
    health = HostHealth(1)
    health.answered(0)
    assert health.again_s(0) == 0
    health.told_to_wait(0, 10)
    assert health.again_s(4) == 6
    assert (health.may_be_asked(10), health.again_s(10)) == (True, PROBE_S)
    health.failed(11)
    assert health.again_s(11) == math.inf


def test_a_host_that_asks_for_time_gets_it() -> None:
    """Even one that is well, and never more than an hour."""
    health = HostHealth(1)
    health.answered(0)
    health.told_to_wait(0, 10)
    health.told_to_wait(0, 1)
    assert [health.may_be_asked(9), health.may_be_asked(10)] == [False, True]
    health.told_to_wait(10, 10**9)
    assert [health.may_be_asked(10 + 3599), health.may_be_asked(10 + 3600)] == [False, True]


def test_an_answer_to_who_asked_before_shortens_no_wait() -> None:
    """A host that is asked for many at once may refuse one and still serve another."""
    health = HostHealth(2)
    health.told_to_wait(0, 10)
    health.answered(1)
    assert (health.may_be_asked(9), health.left_alone) == (False, True)
    assert health.may_be_asked(10)
    health.answered(10)
    assert (health.may_be_asked(10), health.left_alone) == (True, False)


def test_each_host_and_port_has_a_health_of_its_own() -> None:
    """Whatever the path, and the scheme's own port alike."""
    hosts = Hosts(1)
    first = hosts.of(URL("http://a.example/1"))
    assert hosts.of(URL("http://a.example:80/2")) is first
    assert hosts.of(URL("https://a.example/1")) is not first
    first.failed(0)
    hosts.of(URL("http://b.example/"))
    assert hosts.left_alone() == 1


def test_hosts_of_long_ago_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger may name any number of them; memory is bounded."""
    monkeypatch.setattr(host_health, "HOSTS_MAX", 2)
    hosts = Hosts(1)
    first, second = (hosts.of(URL(f"http://{name}.example/")) for name in "ab")
    assert hosts.of(URL("http://a.example/")) is first
    hosts.of(URL("http://c.example/"))
    assert hosts.of(URL("http://a.example/")) is first
    assert hosts.of(URL("http://b.example/")) is not second
