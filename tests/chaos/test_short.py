"""The scenarios of `make chaos`, shorter: nothing is lost, nothing comes twice."""

import time
from pathlib import Path

import pytest

from tests.chaos.replaying import replay_killed
from tests.chaos.run import SHORT
from tests.chaos.scenarios import kill_workers, poison, scale
from tests.chaos.topics import Topics

pytestmark = pytest.mark.kafka

PARTITIONS = 8


def test_killed_workers_lose_nothing_and_repeat_nothing(kafka: str, tmp_path: Path) -> None:
    """One of them dies between flush and commit, so that something is left to abort."""
    topics = Topics(kafka, f"kill-{time.monotonic_ns()}", PARTITIONS)
    figures = kill_workers(topics, tmp_path, SHORT["kill"])
    assert figures.faults == []
    assert (figures.lost, figures.twice) == (0, 0)
    assert figures.kills >= 2
    assert figures.posts == SHORT["kill"].posts


def test_workers_come_and_go_under_load(kafka: str, tmp_path: Path) -> None:
    """Partitions move at once, lag goes away, and every post has one outcome."""
    topics = Topics(kafka, f"scale-{time.monotonic_ns()}", PARTITIONS)
    figures = scale(topics, tmp_path, SHORT["scale"])
    assert figures.faults == []
    assert (figures.lost, figures.twice) == (0, 0)
    assert figures.posts == SHORT["scale"].posts


def test_a_replay_that_is_killed_in_the_middle_brings_each_letter_back_once(
    kafka: str, tmp_path: Path
) -> None:
    """At each step of its transactions; byte for byte, with one header more."""
    topics = Topics(kafka, f"replay-{time.monotonic_ns()}", PARTITIONS)
    figures = replay_killed(topics, tmp_path, SHORT["replay"], kills=6)
    assert figures.faults == []
    assert (figures.lost, figures.twice) == (0, 0)
    assert figures.kills == 6


def test_posts_that_make_the_model_raise_are_dead_letters_and_all_others_get_verdicts(
    kafka: str, tmp_path: Path
) -> None:
    """Exactly those, under load; no worker ends for it."""
    topics = Topics(kafka, f"poison-{time.monotonic_ns()}", PARTITIONS)
    figures = poison(topics, tmp_path, SHORT["poison"])
    assert figures.faults == []
    assert (figures.lost, figures.twice) == (0, 0)
    assert figures.posts == SHORT["poison"].posts
