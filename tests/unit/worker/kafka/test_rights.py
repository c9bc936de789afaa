"""Rights as the broker tells of them, one that is missing in a commit, and a refused producer."""

from types import SimpleNamespace
from typing import Any, cast

import kafka.errors as client
import pytest

from worker.errors import InDoubt, LinkRefused, NotAuthorized
from worker.kafka import kafka_producer
from worker.kafka.client_settings import ClientSettings
from worker.kafka.cluster_questions import ClusterQuestions, _allows
from worker.kafka.kafka_producer import KafkaTransaction, Slot


@pytest.mark.parametrize(
    ("told", "allowed"), [({3, 8}, True), ({4, 8}, False), (set(), False), (None, True), (-1, True)]
)
def test_a_right_is_missing_only_where_the_broker_tells_of_rights(
    told: object, allowed: bool
) -> None:
    """An old broker tells of none: there it shows when it is made use of."""
    assert _allows(told, "Read") is allowed


def answered(code: int, operations: object) -> Any:
    """What a coordinator answers when it is asked about a group without members."""
    group = SimpleNamespace(error_code=code, authorized_operations=operations, members=[])
    return SimpleNamespace(groups=[group])


def test_a_coordinator_that_is_not_ready_is_asked_again() -> None:
    """It tells of no rights yet; one that never is ready keeps nobody from starting."""
    answers = iter([answered(16, None), answered(14, None), answered(0, {8})])
    questions = cast("Any", object.__new__(ClusterQuestions))
    questions._manager = None
    questions._coordinator_node = lambda _: "node"
    questions._coordinator = SimpleNamespace(coordinator_dead=lambda _: None)
    questions._ask = lambda *_: next(answers)
    with pytest.raises(NotAuthorized, match="forbids Read on group tuwen"):
        questions.free_unowned("tuwen", "slot-0", 1, 5.0)
    questions._ask = lambda *_: answered(16, None)
    questions.free_unowned("tuwen", "slot-0", 1, 0.0)


def transaction() -> Any:
    """A transaction whose producer met nothing yet."""
    bare = cast("Any", object.__new__(KafkaTransaction))
    bare._manager = SimpleNamespace(last_error=None)
    bare._slot = SimpleNamespace(settings=SimpleNamespace(slot_id="slot-0"), discard=lambda: None)
    return bare


def test_a_commit_that_is_forbidden_is_not_in_doubt() -> None:
    """Doubt is sent again and again; a missing right is told."""
    forbidden = client.TransactionalIdAuthorizationFailedError()
    told = transaction()._dead(forbidden, "committing", InDoubt)
    assert isinstance(told, NotAuthorized)
    assert told.resource == "transactional id slot-0"
    late = client.KafkaTimeoutError("late")
    assert isinstance(transaction()._dead(late, "committing", InDoubt), InDoubt)


def test_a_refused_producer_is_not_made_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is ready to be committed is tried every moment; a refused password is not."""
    tried: list[str] = []

    def connect(*_: object) -> None:
        tried.append("once")
        raise LinkRefused("no")

    monkeypatch.setattr(kafka_producer, "connected", connect)
    slot = Slot(ClientSettings("127.0.0.1:1", "tuwen", "posts", "slot-0"), cast("Any", None))
    for _ in range(3):
        with pytest.raises(LinkRefused, match="no"):
            slot.begin(1.0)
    assert tried == ["once"]
    slot._refused_until_s = 0.0
    with pytest.raises(LinkRefused):
        slot.begin(1.0)
    assert tried == ["once", "once"]
