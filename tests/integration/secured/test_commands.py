"""Commands on an Apache Kafka that asks who is there."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.secured.worker_here import Worker, letters, listener, settings_of, until
from tests.integration.worker.running_worker import Topics
from tests.integration.worker.secured_kafka import SecuredKafka
from tuwen.command import run
from worker.settings import WorkerSettings

pytestmark = pytest.mark.kafka


Given = Callable[..., int]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Given:
    """Run a command as an operator does who has set all in variables."""

    def run_command(settings: WorkerSettings, *words: str, **changes: object) -> int:
        shown = json.loads(settings.model_dump_json(exclude_unset=True)) | changes
        for name, value in shown.items():
            monkeypatch.setenv(f"TUWEN_{name.upper()}", str(value))
        return run(list(words))

    return run_command


@pytest.mark.parametrize("kind", ["MUTUAL", "SCRAM-SHA-512"])
def test_every_command_talks_to_a_secured_kafka(
    broker: SecuredKafka, topics: Topics, bundle: Path, tmp_path: Path, kind: str, given: Given
) -> None:
    """By the variables that a worker has, each of those that talk to Kafka at all."""
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": "a", "text": "很好"}\nno post\n', encoding="utf-8")
    settings = settings_of(broker, topics, bundle, listener(broker, kind, "operator"))
    assert given(settings, "send", str(posts), "--as-is") == 0
    with Worker(settings):
        assert given(settings, "watch", "--json", "--from-beginning", "--count", "2") == 0
        until(lambda: letters(broker, topics) == 1)
    letter = ["dead-letters", "list"], ["dead-letters", "show", "0:0"]
    codes = [given(settings, *words) for words in (["topics", "check"], *letter)]
    codes.append(given(settings, "dead-letters", "replay", "--all"))
    new = {"posts_topic": f"{topics.posts}-new"}
    codes.append(given(settings, "topics", "create", "--partitions", "1", **new))
    assert codes == [0] * 5


def test_what_a_command_may_not_do_is_said_in_one_line(
    broker: SecuredKafka,
    topics: Topics,
    bundle: Path,
    tmp_path: Path,
    given: Given,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A wrong password, a missing file, and each right that a command lacks."""
    posts = tmp_path / "posts.jsonl"
    posts.write_text('{"id": "a", "text": "很好"}\n', encoding="utf-8")
    own = settings_of(broker, topics, bundle, listener(broker, "SCRAM-SHA-256"))
    (tmp_path / "wrong").write_text("wrong-secret")

    def said(code: int) -> str:
        line = capsys.readouterr().err.strip()
        assert [part for part in ("\n", "wrong-secret") if part in line] == []
        return f"{code} {line}"

    told = [
        said(given(own, "send", str(posts), sasl_password_file=tmp_path / "wrong")),
        said(given(own, "topics", "check", sasl_password_file=tmp_path / "none")),
        said(given(own, "send", str(posts), sasl_password_file=own.sasl_password_file)),
        said(given(own, "watch", "--json", "--count", "1")),
        said(given(own, "topics", "create", posts_topic="unseen")),
    ]
    expected = [
        r"1 .*the broker does not accept sasl_user \(labeller\)",
        r"2 .*sasl_password_file \(.*none\) does not exist",
        rf"1 .*forbids Write on topic {topics.posts}: grant it",
        rf"1 .*forbids Read on topic {topics.verdicts}: grant it",
        r"1 .*forbids Describe on topic unseen: grant it",
    ]
    wrong = [
        line for line, pattern in zip(told, expected, strict=True) if not re.match(pattern, line)
    ]
    assert wrong == []
