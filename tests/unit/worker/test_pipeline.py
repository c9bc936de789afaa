"""The pipeline on an in-memory cluster: its order, its bounds, its stop, its failures."""

import threading
from typing import cast

import pytest

from schemas.reasons import Reason
from tests.unit.worker.bench import Bench, eventually, held_up
from worker.errors import SlotTaken
from worker.kafka.broker import Position
from worker.kafka.memory_broker import MemoryBroker
from worker.messages import Partition
from worker.probe import POST


def test_each_post_has_one_verdict_and_its_partition(bench: Bench) -> None:
    """Labels are right, order is kept by partition, key and timestamp are the post's."""
    for number in range(500):
        bench.post(number)
    bench.start()
    eventually(lambda: len(bench.verdicts()) >= 500)
    assert bench.sources() == [(p, offset) for p in (0, 1) for offset in range(250)]
    for verdict in bench.verdicts():
        assert verdict.label == ("yes" if (int(verdict.id) % 5 + 1) % 2 == 0 else "no")
        assert (verdict.used, verdict.missing) == (("text",), Reason.NO_IMAGE)
    records = bench.cluster.committed_records("verdicts")
    assert {(record.key, record.timestamp_ms) for record in records} == {(b"key", 1_000)}


def test_one_bad_record_costs_one_record(bench: Bench) -> None:
    """Its batch goes on without it, and it is on the dead letters byte for byte."""
    for number in range(20):
        if number % 7 == 3:
            bench.write(number % 2, b"{broken %d" % number)
        else:
            bench.post(number)
    bench.start()
    eventually(lambda: len(bench.verdicts()) == 17)
    letters = bench.cluster.committed_records("letters")
    assert sorted(letter.value or b"" for letter in letters) == [
        b"{broken 10",
        b"{broken 17",
        b"{broken 3",
    ]


def test_what_is_in_flight_is_bounded(bench: Bench) -> None:
    """Above the bound the worker stops reading, and goes on when there is room again."""
    for number in range(400):
        bench.post(number)
    with held_up(bench.classifier):
        pipeline, _ = bench.start(
            in_flight_records_max=40, poll_records_max=10, batch_records_max=8
        )
        eventually(lambda: pipeline.in_flight >= 40)
        reads_on = threading.Event()
        assert not reads_on.wait(0.3)
        assert pipeline.in_flight < 40 + 10
    eventually(lambda: len(bench.verdicts()) == 400)
    assert max(bench.classifier.batches) <= 8


def test_a_stop_commits_what_was_begun_and_leaves_the_rest(bench: Bench) -> None:
    """After a stop and a start each post has one verdict, none two."""
    for number in range(300):
        bench.post(number)
    with held_up(bench.classifier):
        pipeline, stop = bench.start(batch_records_max=16)
        eventually(pipeline._prepared.full)
        stop.set()
        eventually(lambda: pipeline._poller.draining)
    bench.join()
    begun = len(bench.verdicts())
    assert 16 <= begun < 300
    bench.start()
    eventually(lambda: len(bench.verdicts()) >= 300)
    assert sorted(bench.sources()) == [(p, offset) for p in (0, 1) for offset in range(150)]


def test_a_stage_that_is_told_to_end_ends_the_worker_and_commits_nothing(bench: Bench) -> None:
    """It is no fault of a post or of the model: nobody waits for it to pass."""
    bench.post(0)
    bench.classifier.failure = SystemExit("told to")
    bench.start()
    eventually(lambda: bool(bench.failures))
    assert str(bench.failures[0]) == "told to"
    assert bench.cluster.all_records("verdicts") == bench.cluster.all_records("letters") == []
    bench.classifier.failure = None
    bench.start()
    eventually(lambda: len(bench.verdicts()) == 1)


def test_a_second_worker_takes_over_partitions_under_load(bench: Bench) -> None:
    """What was revoked in mid-batch is done once, by its new owner."""
    for number in range(200):
        bench.post(number)
    with held_up(bench.classifier):
        first, _ = bench.start(0, batch_records_max=16)
        eventually(lambda: first.in_flight > 16)
        second, stop_second = bench.start(1, batch_records_max=16)
        eventually(lambda: second.state().partitions == 1)
    for number in range(200, 400):
        bench.post(number)
    eventually(lambda: len(bench.verdicts()) >= 400)
    stop_second.set()
    for number in range(400, 500):
        bench.post(number)
    eventually(lambda: len(bench.verdicts()) >= 500)
    assert sorted(bench.sources()) == [(p, offset) for p in (0, 1) for offset in range(250)]


def test_a_member_that_the_group_evicted_commits_nothing_of_before(bench: Bench) -> None:
    """Its transaction is refused; the posts are done again, once."""
    bench.post(0)
    with held_up(bench.classifier):
        pipeline, _ = bench.start()
        eventually(lambda: pipeline.in_flight == 1)
        bench.cluster.evict(cast("MemoryBroker", pipeline._broker))
    eventually(lambda: len(bench.verdicts()) >= 1)
    bench.post(2)
    eventually(lambda: len(bench.verdicts()) >= 2)
    assert sorted(bench.sources()) == [(0, 0), (0, 1)]


def test_a_worker_whose_slot_was_taken_in_mid_batch_commits_nothing_of_it(bench: Bench) -> None:
    """It ends; who took the slot owns the partitions, and does the posts, once."""
    bench.post(0)
    with held_up(bench.classifier):
        first, _ = bench.start(0)
        eventually(lambda: first.in_flight == 1)
        second, _ = bench.start(0)
        eventually(lambda: second.in_flight == 1)
        eventually(lambda: len(bench.failures) == 1)
    assert isinstance(bench.failures.pop(), SlotTaken)
    eventually(lambda: len(bench.verdicts()) >= 1)
    bench.post(2)
    eventually(lambda: len(bench.verdicts()) >= 2)
    assert sorted(bench.sources()) == [(0, 0), (0, 1)]


@pytest.mark.parametrize("leave", [True, False])
def test_a_stopped_worker_leaves_its_group_unless_it_is_to_come_back(
    bench: Bench, leave: bool
) -> None:
    """In the same generation it finds its partitions again, and nobody else has had them."""
    group = bench.cluster.group("group", "posts")
    stay, _ = bench.start(0)
    gone, stop = bench.start(1, leave_on_stop=leave)
    eventually(lambda: (stay.state().partitions, gone.state().partitions) == (1, 1))
    generation = group.generation
    bench.stop(stop)
    again, _ = bench.start(1)
    eventually(lambda: (stay.state().partitions, again.state().partitions) == (1, 1))
    assert (group.generation > generation) is leave


def test_a_worker_without_partitions_is_ready_and_idle(bench: Bench) -> None:
    """More workers than partitions: the third has nothing to do, and says so."""
    pipelines = [bench.start(slot)[0] for slot in range(3)]

    def states() -> list[tuple[int, bool, str]]:
        found = [pipeline.state() for pipeline in pipelines]
        return sorted((state.partitions, state.ready, state.reason) for state in found)

    eventually(lambda: states() == [(0, True, "idle, no partition"), (1, True, ""), (1, True, "")])


@pytest.mark.parametrize("told", ["stop", "skip"])
def test_what_was_deleted_unread_is_skipped_only_where_that_is_told(
    bench: Bench, told: str
) -> None:
    """Its partition stops; told to skip it goes on with the first that is left, and says so."""
    for number in range(20):
        bench.post(number)
    bench.cluster.group("group", "posts").committed[Partition("posts", 1)] = Position(2)
    bench.cluster.trim(Partition("posts", 1), 4)
    pipeline, _ = bench.start(on_deleted_unread=told)
    labels = {"topic": "posts", "partition": "1"}
    if told == "stop":
        eventually(lambda: "posts/1" in pipeline.state().reason)
        assert bench.registry.get_sample_value("tuwen_partition_stopped", labels) == 1
        eventually(lambda: len(bench.verdicts()) == 10)
        assert {partition for partition, _ in bench.sources()} == {0}
        return
    eventually(lambda: len(bench.verdicts()) == 16)
    eventually(lambda: pipeline.state().ready)
    assert sorted(bench.sources())[10:] == [(1, offset) for offset in range(4, 10)]
    assert bench.registry.get_sample_value("tuwen_deleted_unread_total") == 2
    assert bench.registry.get_sample_value("tuwen_partition_stopped", labels) is None


def test_a_partition_that_cannot_be_read_stops_alone(bench: Bench) -> None:
    """The others go on, the worker is not ready and names it, nothing good is skipped."""
    for number in range(20):
        bench.post(number)
    bench.cluster.damage(Partition("posts", 1), 4)
    pipeline, _ = bench.start()
    eventually(lambda: len(bench.verdicts()) == 14)
    eventually(lambda: not pipeline.state().ready)
    assert "posts/1" in pipeline.state().reason
    assert sorted(bench.sources()) == [(0, n) for n in range(10)] + [(1, n) for n in range(4)]


def test_the_worker_s_own_image_is_never_kept(bench: Bench) -> None:
    """It is there to see the decoder and the CNN at work; all others may be kept."""
    pipeline, _ = bench.start()
    references = [POST.image or "", "file:a.jpg"]
    assert list(pipeline._stages._cache.keys(references)) == ["file:a.jpg"]
