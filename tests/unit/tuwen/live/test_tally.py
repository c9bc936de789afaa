from hypothesis import given
from hypothesis import strategies as st

from schemas.reasons import Reason
from schemas.verdict import ModelName, Source, Verdict
from tuwen.live.tally import Latency, Seen, Tally, percentiles

MODEL = ModelName("demo", "1", "soft-voting")


def seen(label: str | None, latency_ms: int = 5, missing: Reason | None = None) -> Seen:
    """A verdict as it was read."""
    scores = {"积极": 0.5, "中性": 0.3, "消极": 0.2}
    verdict = Verdict("id", label, scores, ("text",), missing, MODEL, Source("posts", 0, 0))
    return Seen(verdict, "text", latency_ms)


def test_verdicts_are_counted_by_label_in_the_order_of_the_bundle() -> None:
    """Labels that did not come yet are there with 0, so that nothing jumps on the screen."""
    tally = Tally()
    tally.verdicts([seen("消极"), seen("积极"), seen("消极")], now_s=1.0)

    assert list(tally.snapshot(1.0).labels.items()) == [("积极", 1), ("中性", 0), ("消极", 2)]


def test_a_verdict_without_a_label_is_a_verdict() -> None:
    """It is counted apart, so that shares of labels and of none add up."""
    tally = Tally()
    tally.verdicts([seen(None), seen("积极"), seen(None)], now_s=1.0)
    tally.dead_letter("no-content")
    snapshot = tally.snapshot(1.0)

    assert (snapshot.verdicts, snapshot.unlabelled, tally.answered) == (3, 2, 4)
    assert snapshot.labels == {"积极": 1, "中性": 0, "消极": 0}


def test_what_is_missing_and_what_is_rejected_is_counted_by_reason() -> None:
    """They are two different things."""
    tally = Tally()
    tally.verdicts([seen("积极", missing=Reason.NO_IMAGE), seen("积极")], now_s=1.0)
    tally.dead_letter("malformed-json")
    tally.dead_letter("malformed-json")
    snapshot = tally.snapshot(1.0)

    assert snapshot.missing == {"no-image": 1}
    assert snapshot.rejected == {"malformed-json": 2}
    assert snapshot.verdicts == 2


def test_the_rate_is_that_of_the_last_second() -> None:
    """What came before it no longer counts."""
    tally = Tally()
    tally.verdicts([seen("积极")] * 30, now_s=10.0)
    tally.verdicts([seen("积极")] * 20, now_s=10.6)

    assert tally.snapshot(10.7).per_second == 50
    assert tally.snapshot(11.2).per_second == 20
    assert tally.snapshot(13.0).per_second == 0
    assert tally.snapshot(13.0).rates == (50, 0, 0)


def test_latency_is_that_of_the_last_ten_seconds() -> None:
    """A slow start does not stay on the screen for ever; all latencies are kept."""
    tally = Tally()
    tally.verdicts([seen("积极", 9_000)], now_s=1.0)
    tally.verdicts([seen("积极", 10)], now_s=8.0)

    assert tally.snapshot(9.0).latency == Latency(10, 9_000)
    assert tally.snapshot(12.0).latency == Latency(10, 10)
    assert tally.snapshot(30.0).latency is None
    assert tally.latencies_ms == [9_000, 10]


def test_lag_is_the_last_that_was_measured() -> None:
    """Unknown until then."""
    tally = Tally()
    assert tally.snapshot(0.0).lag is None

    tally.lag(3)
    tally.lag(7)

    assert tally.snapshot(0.0).lag == 7
    assert tally.snapshot(0.0).lags == (3, 7)


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_percentiles_are_values_that_were_measured(latencies: list[int]) -> None:
    """Nearest rank: at least so many percent are no larger, and no smaller value does that."""
    found = percentiles(latencies)
    assert found is not None
    for value, percent in ((found.p50_ms, 50), (found.p99_ms, 99)):
        not_larger = sum(latency <= value for latency in latencies)
        smaller = sum(latency < value for latency in latencies)
        assert value in latencies
        assert not_larger * 100 >= percent * len(latencies)
        assert smaller * 100 < percent * len(latencies)


def test_nothing_measured_has_no_percentiles() -> None:
    """Rather than a 0 that looks like speed."""
    assert percentiles([]) is None
