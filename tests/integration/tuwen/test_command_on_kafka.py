"""The commands against a real Kafka, with a worker between them."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaProducer
from PIL import Image

from tests.conftest import MakeTopic
from tests.integration.worker.running_worker import Topics, running_worker
from tests.tiny_bundle import write_tiny_bundle
from tuwen.command import run

pytestmark = pytest.mark.kafka

POSTS = [
    {"id": "good", "text": "很好", "image": "file:bright.png"},
    {"id": "bad", "text": "坏", "image": None},
    {"id": "gone", "text": "好", "image": "file:gone.png"},
    {"id": "nothing", "text": None, "image": "file:gone.png"},
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the commands work: a Kafka, three topics, a bundle, a folder of images."""

    servers: str
    topics: Topics
    folder: Path

    @property
    def flags(self) -> list[str]:
        """As every command takes them that knows verdicts and dead letters."""
        return [
            *self.of("--bootstrap-servers", self.servers),
            *self.of("--verdicts-topic", self.topics.verdicts),
            *self.of("--dead-letters-topic", self.topics.dead_letters),
        ]

    @property
    def letters(self) -> list[str]:
        """As `dead-letters` takes them."""
        return [
            *self.of("--bootstrap-servers", self.servers),
            *self.of("--dead-letters-topic", self.topics.dead_letters),
        ]

    @property
    def posts(self) -> list[str]:
        """As `send` takes them."""
        return [
            *self.of("--bootstrap-servers", self.servers),
            *self.of("--posts-topic", self.topics.posts),
        ]

    @staticmethod
    def of(flag: str, value: str) -> list[str]:
        """A flag and its value."""
        return [flag, value]


@pytest.fixture(scope="module")
def place(
    kafka: str, make_topic: MakeTopic, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A worker that has answered four posts, sent by the command."""
    folder = tmp_path_factory.mktemp("place")
    write_tiny_bundle(folder / "bundle")
    Image.new("RGB", (8, 8), (255, 255, 255)).save(folder / "bright.png")
    lines = "\n".join(json.dumps(post, ensure_ascii=False) for post in POSTS)
    (folder / "posts.jsonl").write_text(lines + "\n", encoding="utf-8")
    topics = Topics(
        make_topic("posts", partitions=2),
        make_topic("verdicts", partitions=2),
        make_topic("dead-letters", partitions=1),
    )
    place = Place(kafka, topics, folder)
    flags = ["--image-root", str(folder)]
    with running_worker(kafka, topics, folder / "bundle", folder, flags):
        assert run(["send", str(folder / "posts.jsonl"), *place.posts]) == 0
        yield place


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed."""
    return capsys.readouterr().out.splitlines()


def test_watch_prints_each_answer_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Verdicts as they are on the topic, dead letters with their reason; then it ends."""
    assert run(["watch", "--from-beginning", "--count", "4", "--json", *place.flags]) == 0

    answers = [json.loads(line) for line in lines_of(capsys)]
    labels = {answer["id"]: answer["label"] for answer in answers if "id" in answer}
    letters = {a["dead_letter"]: a["why"]["reason"] for a in answers if "why" in a}
    assert labels == {"good": "积极", "bad": "消极", "gone": "积极"}
    assert letters == {"nothing": "image-not-found"}


def test_watch_prints_lines_where_no_terminal_is(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """One for each, with label, probabilities, what was used, and what is missing."""
    assert run(["watch", "--from-beginning", "--count", "4", *place.flags]) == 0

    shown = lines_of(capsys)
    assert len(shown) == 4
    assert any("积极" in line and "text+image  good" in line for line in shown)
    assert any("text  gone  (image-not-found)" in line for line in shown)
    assert any("dead letter  nothing  image-not-found" in line for line in shown)


def test_watch_ends_when_nothing_comes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """From now on there is nothing."""
    assert run(["watch", "--idle-s", "0.5", *place.flags]) == 0
    assert lines_of(capsys) == []


def test_watch_draws_itself_on_a_terminal_until_ctrl_c(place: Place) -> None:
    """Figures that are redrawn; to stop watching is no failure."""
    ours, theirs = pty.openpty()
    typed = [sys.executable, "-P", "-m", "tuwen", "watch", "--from-beginning", *place.flags]
    watched = subprocess.Popen(
        [*typed, *place.of("--posts-topic", place.topics.posts)],
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"},
    )
    os.close(theirs)
    shown = ""
    try:
        while "image-not-found" not in shown or "很好" not in shown:
            shown += os.read(ours, 65_536).decode("utf-8", "replace")
        watched.send_signal(signal.SIGINT)
        assert watched.wait(10) == 0
    finally:
        watched.kill()
        watched.wait()
        os.close(ours)


def letters(place: Place, capsys: pytest.CaptureFixture[str], *flags: str) -> list[dict[str, str]]:
    """What `dead-letters list --json` prints, once there is something."""
    for _ in range(50):
        assert run(["dead-letters", "list", "--json", *flags, *place.letters]) == 0
        found = [json.loads(line) for line in lines_of(capsys)]
        if found or flags:
            return found
        time.sleep(0.1)  # the worker may not have answered yet
    raise AssertionError("no dead letter came")


def test_dead_letters_are_listed_and_shown(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason, where each came from, and the record byte for byte."""
    (letter,) = letters(place, capsys)

    assert letter["key"] == "nothing"
    assert letter["reason"] == "image-not-found"
    assert letter["source"].startswith(f"{place.topics.posts}/")
    assert run(["dead-letters", "show", letter["place"], *place.letters]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown.splitlines()[-1]) == POSTS[3]
    assert "image-not-found" in shown


def test_dead_letters_are_chosen_by_reason_and_age(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is asked for, and nothing else."""
    assert len(letters(place, capsys)) == 1
    assert len(letters(place, capsys, "--reason", "image-not-found", "--since", "1h")) == 1
    assert letters(place, capsys, "--reason", "malformed-json") == []
    assert letters(place, capsys, "--since", "0s") == []


def test_a_dead_letter_that_is_not_there_is_said_so(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, without waiting for it to come."""
    assert run(["dead-letters", "show", "0:999", *place.letters]) == 1
    assert "there is no dead letter at 0:999" in capsys.readouterr().err
    assert run(["dead-letters", "show", "nine", *place.letters]) == 2


def test_headers_that_are_no_text_are_listed_too(
    kafka: str, make_topic: MakeTopic, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dead letter of somebody else, with bytes that a plain client stumbles over."""
    topic = make_topic("dead-letters")
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(topic, key=b"\xff\xfe", value=b"\x00\x01", headers=[("own", b"\xff")])
    producer.close()
    flags = ["--bootstrap-servers", kafka, "--dead-letters-topic", topic]

    assert run(["dead-letters", "list", *flags]) == 0
    assert "unknown" in capsys.readouterr().out
    assert run(["dead-letters", "show", "0:0", *flags]) == 0
    shown = capsys.readouterr().out
    assert "own = ff" in shown
    assert shown.endswith("\n00 01\n")


def test_only_what_is_committed_is_read(
    kafka: str, make_topic: MakeTopic, capsys: pytest.CaptureFixture[str]
) -> None:
    """An aborted transaction's dead letter never was one."""
    topic = make_topic("dead-letters")
    producer = KafkaProducer(bootstrap_servers=kafka, transactional_id=topic)
    producer.init_transactions()
    for key, end in (
        (b"aborted", producer.abort_transaction),
        (b"kept", producer.commit_transaction),
    ):
        producer.begin_transaction()
        producer.send(topic, key=key, value=b"{").get(10)
        end()
    producer.close()
    flags = ["--bootstrap-servers", kafka, "--dead-letters-topic", topic]

    assert run(["dead-letters", "list", "--json", *flags]) == 0

    assert [json.loads(line)["key"] for line in lines_of(capsys)] == ["kept"]


def test_a_line_that_is_no_post_is_not_sent(
    place: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """It is named by its number."""
    (tmp_path / "posts.jsonl").write_text('{"id": ""}\n')

    assert run(["send", str(tmp_path / "posts.jsonl"), *place.posts]) == 1
    assert f"{tmp_path}/posts.jsonl:1 is no post" in capsys.readouterr().err


def test_a_missing_topic_is_said_so(kafka: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By every command that needs it, with what makes it."""
    where = ["--bootstrap-servers", kafka]
    for command in (
        ["watch", "--idle-s", "1", "--verdicts-topic", "nix", *where],
        ["dead-letters", "list", "--dead-letters-topic", "nix", *where],
        ["topics", "check", "--posts-topic", "nix", *where],
        ["send", __file__, "--as-is", "--posts-topic", "nix", *where],
    ):
        assert run(command) == 1, command
        said = capsys.readouterr().err
        assert "'nix' does not exist" in said
        assert "tuwen topics create" in said


def test_topics_are_created_once_and_then_are_there(
    kafka: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With as many partitions as asked for; a second time nothing changes."""
    names = ["--posts-topic", "t.p", "--verdicts-topic", "t.v", "--dead-letters-topic", "t.d"]
    where = ["--bootstrap-servers", kafka, *names]

    assert run(["topics", "create", "--partitions", "3", "--json", *where]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made == [
        {"name": name, "partitions": 3, "created": True} for name in ("t.p", "t.v", "t.d")
    ]
    assert run(["topics", "create", "--partitions", "5", "--json", *where]) == 0
    assert [t["created"] for t in json.loads(capsys.readouterr().out)] == [False] * 3
    assert run(["topics", "check", *where]) == 0


@pytest.mark.parametrize(
    "command",
    [
        ["topics", "check"],
        ["send", __file__, "--as-is"],
        ["watch", "--json"],
        ["dead-letters", "list"],
        ["dead-letters", "show", "0:0"],
        ["dead-letters", "replay", "--all"],
    ],
)
def test_a_broker_that_does_not_answer_is_said_within_five_seconds(command: list[str]) -> None:
    """In one line, with the address."""
    typed = [sys.executable, "-P", "-m", "tuwen", *command, "--bootstrap-servers", "127.0.0.1:9"]
    began = time.monotonic()

    ran = subprocess.run(typed, capture_output=True, text=True, check=False, cwd="/")

    assert time.monotonic() - began < 5
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "no Kafka answers at 127.0.0.1:9" in ran.stderr


def test_classify_gives_the_verdict_that_the_worker_gave(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the same bundle, text and image, without Kafka."""
    assert run(["watch", "--from-beginning", "--count", "4", "--json", *place.flags]) == 0
    answers = [json.loads(line) for line in lines_of(capsys)]
    theirs = next(answer for answer in answers if answer.get("id") == "good")
    bundle, image = str(place.folder / "bundle"), str(place.folder / "bright.png")

    asked = ["classify", "--bundle", bundle, "--text", "很好", "--image", image, "--json"]
    assert run([*asked, "--id", "good"]) == 0

    ours = json.loads(capsys.readouterr().out)
    same = ("id", "label", "scores", "used", "missing", "model")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
