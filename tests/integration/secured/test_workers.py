"""Workers on an Apache Kafka that asks who is there, by each of its mechanisms."""

import json
import os
import re
import subprocess
import sys
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


def test_several_workers_that_are_refused_say_so_once(
    broker: SecuredKafka, topics: Topics, bundle: Path, tmp_path: Path
) -> None:
    """As an operator starts them: one line, exit code 2, and no password in it."""
    (tmp_path / "wrong").write_text("wrong-secret")
    changes = {"sasl_password_file": tmp_path / "wrong", "processes": 2}
    found = listener(broker, "SCRAM-SHA-256")
    settings = settings_of(broker, topics, bundle, found, **changes)
    given = settings.model_dump_json(exclude_unset=True)
    variables = {f"TUWEN_{name.upper()}": str(value) for name, value in json.loads(given).items()}
    refused = subprocess.run(
        [sys.executable, "-P", "-m", "tuwen", "worker", "--log-format", "json"],
        env=os.environ | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = [line for line in refused.stderr.splitlines() if not line.startswith("{")]
    assert (refused.returncode, len(said)) == (REFUSED, 1), refused.stderr
    assert "does not accept sasl_user (labeller)" in said[0]
    assert "wrong-secret" not in refused.stdout + refused.stderr


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
