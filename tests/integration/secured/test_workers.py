"""Workers on an Apache Kafka that asks who is there, by each of its mechanisms."""

import re
from pathlib import Path

import pytest

from tests.integration.secured.worker_here import (
    EXPECTED,
    POSTS,
    Worker,
    labels,
    letters,
    listener,
    send,
    settings_of,
    until,
)
from tests.integration.worker.running_worker import Topics
from tests.integration.worker.secured_kafka import RIGHTS, SECRET, SecuredKafka
from tuwen.kafka_client import producer
from worker.exit_codes import FAILED, REFUSED, STOPPED

pytestmark = pytest.mark.kafka


@pytest.mark.parametrize(
    "kind", ["TLS", "MUTUAL", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "CLEAR"]
)
def test_posts_are_labelled_exactly_once_by_each_mechanism(
    broker: SecuredKafka,
    topics: Topics,
    bundle: Path,
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the rights that the docs name and no other; and no page or log shows the password."""
    settings = settings_of(broker, topics, bundle, listener(broker, kind))
    send(broker, topics)
    with Worker(settings) as worker:
        until(lambda: worker.code is not None or len(labels(broker, topics)) >= POSTS)
        pages = [worker.page(path) for path in ("/metrics", "/readyz")]
        assert (worker.stop(), worker.why) == (STOPPED, "")
    assert (labels(broker, topics), letters(broker, topics)) == (EXPECTED, 0)
    shown = capsys.readouterr()
    assert SECRET.format("labeller") not in f"{pages}{shown.out}{shown.err}"


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("posts", "forbids Read on topic {posts}: .*--operation Read --topic {posts}"),
        ("verdicts", "forbids Write on topic {verdicts}: .*--operation Write --topic {verdicts}"),
        ("letters", "forbids Write on topic {letters}: .*--operation Write --topic {letters}"),
        ("group", "forbids Read on group {group}: .*--operation Read --group {group}"),
        (
            "transactional-id",
            "forbids Write on transactional id {group}-here-0: .*--transactional-id {group}-here-0",
        ),
    ],
    ids=RIGHTS,
)
def test_a_missing_right_is_named_before_a_post_is_read(
    broker: SecuredKafka, topics: Topics, bundle: Path, right: str, said: str
) -> None:
    """The worker refuses to start, and says which right, on what, and how to grant it."""
    settings = settings_of(broker, topics, bundle, listener(broker, "SCRAM-SHA-256", f"no-{right}"))
    worker = Worker(settings)
    assert worker.join() == REFUSED
    named = {
        "posts": topics.posts,
        "verdicts": topics.verdicts,
        "letters": topics.dead_letters,
        "group": settings.group,
    }
    assert re.search(said.format(**named), worker.why), worker.why
    assert "\n" not in worker.why


@pytest.mark.parametrize("right", RIGHTS)
def test_a_right_that_is_taken_away_ends_the_worker_and_costs_no_post(
    broker: SecuredKafka,
    topics: Topics,
    bundle: Path,
    right: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No good post becomes a dead letter; with the right given back each is labelled once."""
    settings = settings_of(broker, topics, bundle, listener(broker, "SCRAM-SHA-512"))
    bad = b"no post"
    with Worker(settings) as worker:
        until(lambda: "ready, 1 partitions" in worker.page("/readyz"))
        with broker.without("labeller", right):
            send(broker, topics)
            with producer(broker.servers("PLAINTEXT")) as client:
                client.send(topics.posts, bad)
                client.flush(timeout=10)
            assert worker.join() == FAILED
            assert letters(broker, topics) == 0
    assert "the broker forbids" in capsys.readouterr().out
    with Worker(settings) as worker:
        until(lambda: worker.code is not None or letters(broker, topics) == 1)
        assert worker.stop() == STOPPED
    assert (labels(broker, topics), letters(broker, topics)) == (EXPECTED, 1)
