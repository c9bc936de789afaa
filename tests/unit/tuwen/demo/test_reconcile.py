from hypothesis import given
from hypothesis import strategies as st

from schemas.verdict import Source
from tuwen.demo.reconcile import Answer, Reconciliation, reconcile

IDS = st.lists(st.text("abcdef", min_size=1, max_size=4), unique=True, min_size=2, max_size=30)


def answers_to(sent: list[str], rejected: set[str]) -> list[Answer]:
    """One answer of the right kind for each."""
    return [
        Answer(own, Source("posts", 0, offset), "dead letter" if own in rejected else "verdict")
        for offset, own in enumerate(sent)
    ]


@given(ids=IDS, data=st.data())
def test_one_answer_of_the_right_kind_for_each_reconciles_in_any_order(
    ids: list[str], data: st.DataObject
) -> None:
    """The order in which answers are read says nothing."""
    rejected = set(data.draw(st.lists(st.sampled_from(ids))))
    answers = data.draw(st.permutations(answers_to(ids, rejected)))

    found = reconcile(ids, rejected, answers)

    assert found.holds
    assert not found.faults
    assert (found.verdicts, found.dead_letters) == (len(ids) - len(rejected), len(rejected))


@given(ids=IDS, data=st.data())
def test_a_missing_answer_is_lost(ids: list[str], data: st.DataObject) -> None:
    """Whichever answer is taken away, its id is named, and nothing reconciles."""
    answers = answers_to(ids, set())
    gone = data.draw(st.sampled_from(answers))
    answers.remove(gone)

    found = reconcile(ids, set(), answers)

    assert not found.holds
    assert found.lost == [gone.id]
    assert not found.twice


@given(ids=IDS, data=st.data())
def test_a_doubled_answer_is_twice(ids: list[str], data: st.DataObject) -> None:
    """Whichever answer comes again, its id is named, and nothing reconciles."""
    answers = answers_to(ids, set())
    again = data.draw(st.sampled_from(answers))

    found = reconcile(ids, set(), [*answers, again])

    assert not found.holds
    assert found.twice == [again.id]
    assert not found.lost


def test_one_lost_and_one_twice_do_not_make_up_for_each_other() -> None:
    """The counts would agree; the ids do not."""
    answers = answers_to(["a", "b", "c"], set())

    found = reconcile(["a", "b", "c"], set(), [answers[0], answers[1], answers[1]])

    assert found.verdicts == found.sent
    assert not found.holds
    assert found == Reconciliation(3, 3, 0, ["c"], ["b"], [], [])
    assert [fault.partition(":")[0] for fault in found.faults] == ["1 lost", "1 answered twice"]


def test_two_answers_to_one_record_are_twice_though_their_ids_differ() -> None:
    """The promise is one outcome for each source record."""
    answers = answers_to(["a", "b"], set())
    same = Answer("b", answers[0].source, "verdict")

    assert reconcile(["a", "b"], set(), [answers[0], same]).twice == ["a", "b"]


def test_a_stranger_does_not_reconcile() -> None:
    """An answer to what nobody sent is a fault as well."""
    stranger = Answer("x", Source("posts", 1, 0), "verdict")

    assert reconcile(["a"], set(), [*answers_to(["a"], set()), stranger]).unsent == ["x"]


def test_a_verdict_for_what_must_be_rejected_does_not_reconcile() -> None:
    """And neither does a dead letter for a good post."""
    wrong = answers_to(["good", "bad"], {"good"})

    assert reconcile(["good", "bad"], {"bad"}, wrong).misjudged == ["bad", "good"]


def test_of_many_faults_only_some_are_named() -> None:
    """A line stays a line."""
    faults = reconcile([f"{n:04}" for n in range(1_200)], set(), []).faults

    assert faults == ["1,200 lost: 0000, 0001, 0002, 0003, 0004 and 1,195 more"]
