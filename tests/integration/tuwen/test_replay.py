"""`tuwen dead-letters replay` against a real Kafka."""

import json
import time
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from PIL import Image

from schemas import dead_letter
from schemas.replay import Begun
from tests.conftest import MakeTopic
from tests.integration.tuwen.replay_place import Place, now_ms
from tests.integration.worker.running_worker import Topics, running_worker
from tests.tiny_bundle import write_tiny_bundle
from tuwen.failures import Failed
from tuwen.kafka_client import read_all
from tuwen.replay import whole
from tuwen.replay.journal import journal_topic
from worker.kafka.broker import Broker
from worker.kafka.client_settings import ClientSettings
from worker.messages import Headers, Outgoing, Record
from worker.settings import WorkerSettings

pytestmark = pytest.mark.kafka

ODD: Headers = ((b"\xff not UTF-8", None), (b"", b"\x00\xff"), (b"twice", b"1"), (b"twice", b"2"))
COUNT = (dead_letter.REPLAYS, b"1")


@pytest.fixture
def place(kafka: str, make_topic: MakeTopic) -> Place:
    """Topics that no other test uses."""
    return Place(kafka, make_topic("posts", partitions=2), make_topic("dead-letters", partitions=1))


def said(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The JSON that a replay prints in the end."""
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.parametrize(
    ("key", "value", "own"),
    [
        (b"key", b"value", ()),
        (None, b"value", ODD),
        (b"key", None, ODD),
        (None, None, ()),
        (b"", b"", ODD),
        (b"\xff\x00", b"\x80" * 9_000, ODD),
    ],
    ids=["plain", "no key", "no value", "neither", "empty", "odd"],
)
def test_a_record_comes_back_byte_for_byte(
    place: Place, key: bytes | None, value: bytes | None, own: Headers
) -> None:
    """To its own partition, with its timestamp, and one header more than it had."""
    at_ms = now_ms() - 5_000
    place.write([place.letter(value, key=key, own=own, number=1, timestamp_ms=at_ms)])

    assert place.do("--reason", "image-not-found") == 0

    (back,) = place.back()
    assert (back.key, back.value, back.headers) == (key, value, (*own, COUNT))
    assert (back.partition.number, back.timestamp_ms) == (1, at_ms)


def test_a_letter_is_replayed_once_unless_told_again(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """And `list` shows which were, by which replay."""
    place.write([place.letter(b"a"), place.letter(b"b")])

    assert place.do("--all", "--json") == 0
    first = said(capsys)
    assert first["replayed"] == {"image-not-found": 2}
    assert place.do("--all", "--json") == 0
    assert said(capsys)["kept"] == {"replayed-already": {"image-not-found": 2}}
    assert place.do("--all", "--again", "--limit", "1") == 0
    assert capsys.readouterr().out == "1 record put back: image-not-found 1\n"

    assert sorted(record.value or b"" for record in place.back()) == [b"a", b"a", b"b"]
    assert place.do("--json", what="list") == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(letter["replayed"].startswith(first["replay"]) for letter in listed)


def test_a_finished_replay_has_nothing_left_and_an_unknown_one_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its id, in one line."""
    place.write([place.letter(b"a")])
    assert place.do("--all", "--json") == 0
    replay = str(said(capsys)["replay"])

    assert place.do("--resume", replay, "--json") == 0
    assert said(capsys) == {"replay": replay, "replayed": {}, "kept": {}}
    assert place.do("--resume", "x") == 1
    refused = capsys.readouterr().err
    assert refused.count("\n") == 1
    assert f"no replay 'x' of {place.letters}: the newest are {replay}" in refused
    assert place.do("--resume", replay, "--again") == 2
    assert len(place.back()) == 1


def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even a journal is made."""
    place.write([place.letter(b"a", number=1), place.letter(b"b", own=((COUNT[0], b"3"),))])

    assert place.do("--all", "--dry-run") == 0

    shown = capsys.readouterr().out
    assert f"{place.posts}/1" in shown
    assert "1 record would be put back: image-not-found 1\n" in shown
    assert "1 letter stays: put back as often as --replays-max allows" in shown
    assert place.do("--all", "--dry-run", "--json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kept"] for line in lines] == [None, "replayed-too-often"]
    assert place.back() == []
    admin = KafkaAdminClient(bootstrap_servers=place.servers)
    assert journal_topic(place.letters) not in admin.list_topics()
    admin.close()


def test_a_letter_without_its_value_sends_the_record_that_still_lies_there(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """And stays where that is gone."""
    at_ms = now_ms()
    original = Outgoing(place.posts, 1, b"k", b"v" * 9, ODD, at_ms)
    place.write([original])
    place.write(
        [
            place.letter(None, number=1, offset=0, timestamp_ms=at_ms, omitted=True),
            place.letter(None, number=1, offset=99, timestamp_ms=at_ms, omitted=True),
            place.letter(None, number=9, offset=0, timestamp_ms=at_ms, omitted=True),
        ]
    )

    assert place.do("--all", "--json") == 0

    assert said(capsys)["kept"] == {"original-gone": {"image-not-found": 2}}
    back = place.back()[-1]
    assert (back.key, back.value, back.headers) == (b"k", b"v" * 9, (*ODD, COUNT))


def test_a_post_older_than_its_topic_keeps_needs_a_new_timestamp(
    place: Place, capsys: pytest.CaptureFixture[str], make_topic: MakeTopic
) -> None:
    """Kafka could delete it before a worker reads it; where it never does, nothing is needed."""
    forever = make_topic("posts", retention_ms="-1")
    place.write(
        [place.letter(b"a", timestamp_ms=1), place.letter(b"f", timestamp_ms=1, topic=forever)]
    )

    assert place.do("--all", "--json") == 0
    assert said(capsys)["kept"] == {"too-old": {"image-not-found": 1}}
    assert place.do("--topic", place.posts, "--new-timestamps") == 0

    (back,) = place.back()
    assert abs(back.timestamp_ms - now_ms()) < 60_000
    (kept,) = read_all(place.servers, [forever])
    assert kept.timestamp_ms == 1


def test_progress_is_committed_in_a_group_of_its_own(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where any tool for Kafka shows it."""
    place.write([place.letter(b"a"), place.letter(b"b")])
    assert place.do("--all", "--json") == 0
    group = f"{place.letters}.replay-{said(capsys)['replay']}"

    consumer = KafkaConsumer(bootstrap_servers=place.servers, group_id=group)
    assert consumer.committed(TopicPartition(place.letters, 0)) == 3  # and the marker
    consumer.close(autocommit=False)


def test_a_topic_that_is_gone_is_said_so(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, with how to go on."""
    place.write([place.letter(b"a", topic="gone")])

    assert place.do("--all") == 1

    *_, told = capsys.readouterr().err.splitlines()
    assert "topic 'gone' does not exist" in told
    assert "`tuwen dead-letters replay --resume " in told


def test_a_record_too_large_for_its_topic_stays(
    place: Place, capsys: pytest.CaptureFixture[str], make_topic: MakeTopic
) -> None:
    """It was written compressed, or by the last byte; the others go."""
    small = make_topic("posts", max_message_bytes="2000")
    place.write([place.letter(b"x" * 1_960, topic=small), place.letter(b"y" * 1_900, topic=small)])

    assert place.do("--all", "--json") == 0

    assert said(capsys)["kept"] == {"too-large": {"image-not-found": 1}}
    assert [len(record.value or b"") for record in read_all(place.servers, [small])] == [1_900]


def test_what_was_mended_gets_its_verdict_with_the_posts_own_timestamp(
    kafka: str, make_topic: MakeTopic, tmp_path: Path
) -> None:
    """An image that was not there, and then was: one dead letter, one replay, one verdict."""
    topics = Topics(*(make_topic(name) for name in ("posts", "verdicts", "dead-letters")))
    place = Place(kafka, topics.posts, topics.dead_letters)
    write_tiny_bundle(tmp_path / "bundle")
    post = json.dumps({"id": "late", "text": None, "image": "file:late.png"}).encode()
    at_ms = now_ms() - 60_000
    place.write([Outgoing(topics.posts, 0, b"late", post, ODD, at_ms)])
    flags = ["--image-root", str(tmp_path)]
    with running_worker(kafka, topics, tmp_path / "bundle", tmp_path, flags):
        wait_for(kafka, topics.dead_letters)
        Image.new("RGB", (8, 8), (255, 255, 255)).save(tmp_path / "late.png")
        assert place.do("--reason", "image-not-found", "--since", "1h") == 0
        (verdict,) = wait_for(kafka, topics.verdicts)

    said = json.loads(verdict.value or b"")
    assert (said["id"], said["used"], verdict.timestamp_ms) == ("late", ["image"], at_ms)
    assert verdict.headers == (*ODD, COUNT)
    assert len(wait_for(kafka, topics.dead_letters)) == 1


def wait_for(servers: str, topic: str) -> list[Record]:
    """Read a topic until it holds something."""
    deadline_s = time.monotonic() + 20.0
    while time.monotonic() < deadline_s:
        if found := list(read_all(servers, [topic])):
            return found
        time.sleep(0.1)  # nothing to wait on: another process's outcome
    raise AssertionError(f"nothing came to {topic}")


def test_a_topic_without_dead_letters_is_no_trouble(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that is missing is named."""
    assert place.do("--all") == 0
    assert capsys.readouterr().out == "0 records put back\n"
    gone = Place(place.servers, place.posts, "nix")
    assert gone.do("--all") == 1
    assert "'nix' does not exist" in capsys.readouterr().err


def test_a_journal_that_kafka_would_shorten_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would forget what was replayed."""
    admin = KafkaAdminClient(bootstrap_servers=place.servers)
    topic = journal_topic(place.letters)
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
    admin.wait_for_topics([topic])
    admin.close()
    place.write([place.letter(b"a")])

    assert place.do("--all") == 1

    assert "give it cleanup.policy=delete and retention.ms=-1" in capsys.readouterr().err
    assert place.back() == []


def test_letters_are_shown_by_reason_and_time(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """One after the other, the latest last; or as JSON with all that they hold."""
    old_ms = now_ms() - 3_600_000
    place.write([place.letter(b"\xff\x00", own=ODD), place.letter(b"old", timestamp_ms=old_ms)])

    assert place.do(what="show") == 0
    shown = capsys.readouterr().out
    assert shown.index("\nold\n") < shown.index("\nff 00\n")
    assert "header     ff 20 6e 6f 74 20 55 54 46 2d 38 = null" in shown
    assert place.do("--until", "30m", "--json", what="show") == 0
    assert json.loads(capsys.readouterr().out)["value_base64"] == "b2xk"
    assert place.do("0:0", "--json", what="show") == 0
    odd = json.loads(capsys.readouterr().out)["headers"][0]
    assert (odd["name_base64"], odd["value_base64"]) == ("/yBub3QgVVRGLTg=", None)
    assert place.do("--since", "30m", "--topic", "others", what="show") == 0
    assert capsys.readouterr().out == ""
    assert place.do("0:0", "--since", "1h", what="show") == 2


def test_a_mistyped_id_disturbs_no_replay_that_runs(place: Place) -> None:
    """It is refused before anything connects that would fence one."""

    def never(_settings: ClientSettings) -> Broker:
        raise AssertionError

    settings = WorkerSettings(
        bootstrap_servers=place.servers, dead_letters_topic=place.letters, posts_topic=place.posts
    )
    with pytest.raises(Failed, match="no replay 'x'"):
        whole.replay(settings, "x", Silent(), never)


class Silent:
    """Is told, and does not tell."""

    def begun(self, begun: Begun) -> None:
        """It has an id."""

    def progress(self, done: int, total: int) -> None:
        """It goes on."""
