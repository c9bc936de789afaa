import pytest

from schemas import dead_letter
from schemas.replay import Begun, Choice
from tests.unit.tuwen.replay.letters import LETTERS, MADE_MS, POSTS, Place, partition, why
from tuwen.dead_letters import of
from tuwen.replay.journal import Journal, journal_topic
from tuwen.replay.sorting import Kept
from worker.errors import UnknownTopic
from worker.messages import Headers, Outgoing, Partition, Record

OWN: Headers = ((b"\xff not UTF-8", None), (b"traceparent", b"00-4b"), (b"", b""))


def letter(
    headers: Headers, *, key: bytes | None = b"\xff", value: bytes | None = b"{", offset: int = 7
) -> Record:
    """A record of the dead letters."""
    return Record(Partition(LETTERS, 1), offset, key, value, headers, MADE_MS)


def sort(
    record: Record,
    place: Place | None = None,
    *,
    journal: Journal | None = None,
    again: bool = False,
    replays_max: int = 3,
    new_timestamps: bool = False,
) -> Outgoing | Kept:
    """What becomes of it, in the replay `r`."""
    begun = Begun("r", "1", Choice(), None, again, replays_max, new_timestamps, {})
    return (place or Place()).sorter(begun, journal or Journal()).sort(of(record))


@pytest.mark.parametrize("key", [None, b"", b"\x00\xff"])
@pytest.mark.parametrize("value", [None, b"", b"\x00\xff"])
def test_a_record_goes_back_byte_for_byte_with_a_count_after_its_headers(
    key: bytes | None, value: bytes | None
) -> None:
    """To the topic and partition that it came from, with its own timestamp."""
    record = letter(OWN + why(partition=1), key=key, value=value)

    headers = (*OWN, (dead_letter.REPLAYS, b"1"))
    assert sort(record) == Outgoing(POSTS, 1, key, value, headers, MADE_MS)


def test_the_count_takes_the_place_of_the_one_before() -> None:
    """However often a record comes back, it has one count, after what it came with at first."""
    record = letter((*OWN, (dead_letter.REPLAYS, b"2"), *why()))

    sent = sort(record)
    assert isinstance(sent, Outgoing)
    assert sent.headers == (*OWN, (dead_letter.REPLAYS, b"3"))


@pytest.mark.parametrize(("replays", "kept"), [(b"2", False), (b"3", True), (b"4", True)], ids=str)
def test_a_record_that_came_back_too_often_stays(replays: bytes, kept: bool) -> None:
    """Else it would go round for ever."""
    fate = sort(letter(((dead_letter.REPLAYS, replays), *why())))
    assert (fate == Kept.REPLAYED_TOO_OFTEN) is kept


def test_how_often_is_too_often_can_be_said() -> None:
    """Somebody has mended what failed three times."""
    record = letter(((dead_letter.REPLAYS, b"3"), *why()))
    assert isinstance(sort(record, replays_max=4), Outgoing)


@pytest.mark.parametrize("content", [None, b"", b"-1", b"0", b"many", b"1" * 10])
def test_a_producers_own_header_of_that_name_is_not_touched(content: bytes | None) -> None:
    """It is no count of ours, and is the producer's to keep."""
    own: Headers = ((dead_letter.REPLAYS, content),)
    sent = sort(letter(own + why()))
    assert isinstance(sent, Outgoing)
    assert sent.headers == (*own, (dead_letter.REPLAYS, b"1"))


def test_a_partition_that_is_no_more_is_left_to_the_client() -> None:
    """The topic was made anew, with fewer; the key chooses."""
    sent = sort(letter(why(partition=2)))
    assert isinstance(sent, Outgoing)
    assert sent.partition is None


def test_a_letter_that_was_replayed_stays_unless_told_again() -> None:
    """But never comes twice by one replay."""
    other = Journal(replayed={(1, 7): ["other"]})
    mine = Journal(replayed={(1, 7): ["other", "r"]})
    record = letter(why())

    assert sort(record, journal=other) == Kept.REPLAYED_ALREADY
    assert isinstance(sort(record, journal=other, again=True), Outgoing)
    assert sort(record, journal=mine, again=True) == Kept.REPLAYED_ALREADY
    assert isinstance(sort(letter(why(), offset=8), journal=other), Outgoing)


def test_a_letter_of_somebody_else_stays() -> None:
    """It names no record of ours."""
    assert sort(letter(OWN)) == Kept.UNKNOWN


@pytest.mark.parametrize("topic", [LETTERS, journal_topic(LETTERS)])
def test_a_letter_never_goes_among_the_letters(topic: str) -> None:
    """Whatever its headers say, which anybody can write."""
    place = Place()
    place.sources.counts[topic] = 2
    assert sort(letter(why(topic=topic)), place) == Kept.UNKNOWN


def test_a_topic_that_is_gone_stops_the_replay() -> None:
    """With its name; to choose by --topic leaves it out."""
    with pytest.raises(UnknownTopic, match="'gone' does not exist"):
        sort(letter(why(topic="gone")))


def test_a_letter_without_its_value_sends_the_record_that_still_lies_there() -> None:
    """With its own key and headers, whatever the letter has left of them."""
    place = Place()
    original = Record(partition(1), 5, b"k", b"v" * 9, OWN, MADE_MS)
    place.sources.records[partition(1), 5] = original
    record = letter(why(partition=1, offset=5, omitted=b"key, value and headers"), value=None)

    headers = (*OWN, (dead_letter.REPLAYS, b"1"))
    assert sort(record, place) == Outgoing(POSTS, 1, b"k", b"v" * 9, headers, MADE_MS)


def test_a_letter_without_its_value_stays_where_the_record_is_gone() -> None:
    """A null in its place would be another post."""
    record = letter(why(omitted=b"value"), value=None)
    assert sort(record) == Kept.ORIGINAL_GONE


def test_another_record_at_the_same_place_is_not_taken_for_it() -> None:
    """The topic was made anew, and its offsets began again."""
    place = Place()
    other = Record(partition(), 0, b"k", b"v", (), MADE_MS + 1)
    place.sources.records[partition(), 0] = other
    assert sort(letter(why(omitted=b"value")), place) == Kept.ORIGINAL_GONE


@pytest.mark.parametrize(("keeps_ms", "kept"), [(None, False), (60_001, False), (60_000, True)])
def test_a_post_older_than_its_topic_keeps_stays(keeps_ms: int | None, kept: bool) -> None:
    """Kafka deletes by timestamps: it might do so before a worker has read it."""
    place = Place()
    place.sources.kept_ms = keeps_ms
    assert (sort(letter(why()), place) == Kept.TOO_OLD) is kept


def test_a_new_timestamp_brings_it_back() -> None:
    """The present one, since Kafka goes by it."""
    place = Place()
    place.sources.kept_ms = 1
    sent = sort(letter(why()), place, new_timestamps=True)
    assert isinstance(sent, Outgoing)
    assert sent.timestamp_ms == place.now_ms
