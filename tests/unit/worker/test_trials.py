"""Who may have killed the owners before is tried in a child, which dies in the worker's place."""

import signal
import sys
from contextlib import closing

import pytest

from schemas.reasons import Reason
from tests.tiny_bundle import write_tiny_bundle
from tests.unit.worker.bench import WAIT_S, Bench, eventually
from worker.attempts import note_of
from worker.kafka.broker import Position
from worker.messages import Partition, Record
from worker.poison import MachineFault
from worker.secret_settings import WITH_SECRETS
from worker.settings import WorkerSettings
from worker.trial_child import Died, Task, TrialChild

POSTS = Partition("posts", 0)

DEADLY = """
import os, signal, sys
from inference.classifier import Classifier
from worker import trial_process
features = Classifier.features
def deadly(self, texts, *rest):
    for text in texts:
        for mark, number in (("崩", signal.SIGSEGV), ("耗", signal.SIGKILL)):
            if text and mark in text:
                os.kill(os.getpid(), number)
    return features(self, texts, *rest)
Classifier.features = deadly
trial_process.main()
"""
"""The child, whose classifier kills its process for texts with a mark, as native code may."""


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    """A tiny bundle, and verdicts of two partitions."""
    bundle = tmp_path_factory.mktemp("trial") / "bundle"
    write_tiny_bundle(bundle)
    settings = WorkerSettings(
        bundle=bundle,
        verdicts_topic="verdicts",
        dead_letters_topic="letters",
        decoder="in-process",
    )
    return Task(settings.model_dump_json(context=WITH_SECRETS), 2)


def a_child(task: Task, script: str = DEADLY, timeout_s: float = 60.0) -> TrialChild:
    """A child that runs a script."""
    return TrialChild(task, timeout_s, (sys.executable, "-P", "-c", script))


def a_record(text: str, offset: int = 7) -> Record:
    """A post."""
    value = f'{{"id": "1", "text": "{text}"}}'.encode()
    return Record(POSTS, offset, b"key", value, ((b"own", None),), 1_000)


def test_a_child_gives_what_a_worker_would_or_says_what_it_died_of(task: Task) -> None:
    """A verdict, a dead letter for what is no post; both with the record's key and headers."""
    with closing(a_child(task)) as child:
        child.wait_ready()
        gives_what_a_worker_would(child)


def gives_what_a_worker_would(child: TrialChild) -> None:
    """See that it does."""
    verdict = child.work_on(a_record("很好")).of(a_record("很好"))
    assert verdict.outgoing.topic == "verdicts"
    assert (verdict.label, verdict.outgoing.key) == ("积极", b"key")
    letter = child.work_on(Record(POSTS, 8, None, b"no post", (), 0)).of(a_record(""))
    assert (letter.outgoing.topic, letter.reason) == ("letters", Reason.MALFORMED_JSON)
    with pytest.raises(Died, match="SIGSEGV"):
        child.work_on(a_record("崩"))


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("time.sleep(60)", r"no answer in 0\.2 s"),
        ("sys.stdin.buffer.read(9); os.write(1, framed(Ready()))", "answers what is no answer"),
    ],
)
def test_a_child_that_gives_no_answer_convicts_nobody(task: Task, does: str, said: str) -> None:
    """A disk that hangs does that as well as a post."""
    script = "import os, sys, time; from worker.trial_child import *; os.read(0, 1); "
    script += f"os.write(1, framed(Ready())); {does}"
    with closing(a_child(task, script, timeout_s=0.2)) as child:
        child.wait_ready()
        with pytest.raises(MachineFault, match=said):
            child.work_on(a_record("很好"))


def test_a_child_that_does_not_start_convicts_nobody(task: Task) -> None:
    """Whether it says why, or dies."""
    nowhere = Task(task.settings.replace("/bundle", "/nowhere"), 2)
    for told, script in ((nowhere, DEADLY), (task, "raise SystemExit(3)")):
        said = pytest.raises(MachineFault, match=r"does not start: .*(nowhere|exit code 3)")
        with closing(a_child(told, script)) as child, said:
            child.wait_ready()


def begun_twice(bench: Bench) -> None:
    """Two owners began with both partitions, and came to no commit."""
    group = bench.cluster.group("group", "posts")
    group.committed = {Partition("posts", n): Position(0, note_of(2)) for n in (0, 1)}


def test_a_post_that_kills_its_process_costs_itself_alone(bench: Bench, task: Task) -> None:
    """After two owners that came to no commit; in its normal transaction, as poison."""
    children: list[TrialChild] = []

    def start() -> TrialChild:
        children.append(a_child(task))
        return children[-1]

    begun_twice(bench)
    for number in range(12):
        bench.post(number, "耗" if number == 3 else "很好")
    bench.start(start_child=start)
    # Three processes load a model for this, one after the other.
    eventually(lambda: len(bench.verdicts()) + len(bench.letters()) == 12, 6 * WAIT_S)
    bench.join()
    ((place, failure),) = bench.letters()
    assert place == (1, 1)
    assert (failure.reason, failure.stage) == (Reason.POISON, "trial")
    assert "SIGKILL" in failure.detail
    assert bench.registry.get_sample_value("tuwen_trials_total", {"outcome": "poison"}) == 1
    assert bench.registry.get_sample_value("tuwen_trials_total", {"outcome": "passed"}) == 11
    # It killed two; in the second the worker's own post passed before.
    assert len(children) == 3
    assert all(child._process.returncode is not None for child in children)


class Fake:
    """A child that dies of a record as often as it is told to; `asked` is what it worked on."""

    asked: list[int]

    def __init__(self, asked: list[int], dies: list[int]) -> None:
        self.asked, self._dies = asked, dies

    def wait_ready(self) -> None:
        """Be ready."""

    def work_on(self, record: Record) -> "Fake":
        """Die, or not."""
        self.asked.append(record.offset)
        if record.offset in self._dies:
            self._dies.remove(record.offset)
            raise Died(signal.Signals.SIGSEGV.name)
        raise MachineFault("the disk is gone")

    def kill(self) -> None:
        """End."""

    close = kill


class Unready(Fake):
    """A child that cannot start."""

    def wait_ready(self) -> None:
        """Say so."""
        raise MachineFault("it does not start")

    def work_on(self, record: Record) -> Fake:
        """Be asked nothing."""
        raise AssertionError("it is not ready")


def test_a_fault_in_the_child_holds_the_trial_up_and_convicts_nobody(bench: Bench) -> None:
    """Not even a post over which the child died before: the worker's own post did not pass."""
    begun_twice(bench)
    bench.post(0)
    asked: list[int] = []
    pipeline, _ = bench.start(start_child=lambda: Fake(asked, [0]), stop_timeout_s=0.2)
    eventually(lambda: "the disk is gone" in pipeline.state().reason)
    assert asked[:2] == [0, -1]
    bench.join()
    assert (bench.verdicts(), bench.letters()) == ([], [])


def test_a_child_that_did_not_start_is_given_no_post(bench: Bench) -> None:
    """The next one is started, until one can work."""
    begun_twice(bench)
    bench.post(0)
    asked: list[int] = []
    children = [Unready(asked, []), Fake(asked, [])]
    pipeline, _ = bench.start(start_child=lambda: children.pop(0), stop_timeout_s=0.2)
    eventually(lambda: "the disk is gone" in pipeline.state().reason)
    bench.join()
    assert (asked[0], children) == (0, [])


def test_only_doubtful_posts_are_tried_in_a_child(bench: Bench) -> None:
    """Posts of partitions whose owners came to a commit go the usual way, and do not wait."""
    group = bench.cluster.group("group", "posts")
    group.committed = {POSTS: Position(0, note_of(2))}
    for number in range(6):
        bench.post(number)
    asked: list[int] = []
    bench.start(start_child=lambda: Fake(asked, []), stop_timeout_s=0.2)
    eventually(lambda: len(bench.verdicts()) == 3)
    assert {partition for partition, _ in bench.sources()} == {1}
    eventually(lambda: bool(asked))
    bench.join()
    assert asked[0] == 0
