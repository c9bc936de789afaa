"""The pipeline when something raises: poison costs one record, a fault of the machine none."""

from typing import Any

import pytest
import structlog

from tests.unit.worker.bench import Bench, eventually

POISONOUS = {
    "features": {"text": "毒"},
    "inference": {"text": "坏"},
    "fetch": {"image": "data:poison"},
}


@pytest.mark.parametrize("stage", POISONOUS)
def test_poison_costs_one_record(bench: Bench, stage: str) -> None:
    """Its batch goes on without it, the worker runs on, and the class of the error is told."""
    for number in range(60):
        poisonous = number in {7, 8, 40}
        bench.post(number, **({"text": "很好"} | POISONOUS[stage] if poisonous else {}))
    bench.start()
    eventually(lambda: len(bench.letters()) + len(bench.verdicts()) == 60)
    places, said = zip(*bench.letters(), strict=True)
    assert places == ((0, 4), (0, 20), (1, 3))
    assert {(each.stage, each.reason) for each in said} == {(stage, "poison")}
    error = {"features": "PanicException", "inference": "ValueError", "fetch": "RuntimeError"}
    assert all(error[stage] in each.detail for each in said)
    assert sorted(bench.sources()) == sorted(
        {(p, offset) for p in (0, 1) for offset in range(30)} - set(places)
    )
    assert bench.failures == []


def test_poison_is_not_quoted_in_the_logs(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """Its error quotes the post; stage, class and place are enough to look for it."""
    for number in range(8):
        bench.post(number, "很坏的酒店" if number == 3 else "很好")
    with structlog.testing.capture_logs() as events:
        bench.start()
        eventually(lambda: len(bench.verdicts()) == 7)
    (told,) = [event for event in events if event["event"] == "poison set aside"]
    assert (told["step"], told["error"]) == ("inference", "ValueError")
    assert "酒店" not in str(events) + "".join(capsys.readouterr())


FAULTS = [("inference", RuntimeError("no weights")), ("fetch", OSError(5, "disk"))]


@pytest.mark.parametrize(("step", "failure"), FAULTS, ids=[step for step, _ in FAULTS])
def test_a_fault_of_the_machine_holds_up_and_costs_no_post(
    bench: Bench, step: str, failure: BaseException
) -> None:
    """The worker is not ready, says why, shows it, and goes on by itself when it has ended."""
    broken: Any = bench.classifier if step == "inference" else bench.source
    broken.failure = failure
    for number in range(20):
        bench.post(number, **({"image": "file:x"} if step == "fetch" else {}))
    pipeline, _ = bench.start(batch_records_max=4)

    def shown(name: str) -> float | None:
        return bench.registry.get_sample_value(name, {"step": step})

    eventually(lambda: shown("tuwen_step_held_up") == 1)
    eventually(lambda: f"{step} is held up" in pipeline.state().reason)
    assert not pipeline.state().ready
    eventually(lambda: (shown("tuwen_step_faults_total") or 0) >= 2)
    assert (bench.verdicts(), bench.letters()) == ([], [])
    broken.failure = None
    eventually(lambda: len(bench.verdicts()) == 20)
    eventually(lambda: pipeline.state().ready)
    assert shown("tuwen_step_held_up") == 0
    assert (bench.letters(), bench.failures) == ([], [])


def test_a_worker_that_is_held_up_stops_when_told(bench: Bench) -> None:
    """Its posts stay for whoever owns them next."""
    bench.classifier.failure = RuntimeError("no weights")
    bench.post(0)
    pipeline, stop = bench.start(stop_timeout_s=0.3)
    eventually(lambda: "held up" in pipeline.state().reason)
    stop.set()
    bench.join()
    assert (bench.failures, bench.cluster.all_records("letters")) == ([], [])
