import io

from rich.cells import cell_len
from rich.console import Console, RenderableType

from schemas.verdict import ModelName, Source, Verdict
from tuwen.live.tally import Seen, Tally
from tuwen.live.view import reasons, render, shares, spark

MODEL = ModelName("demo", "1", "soft-voting")


def lines(shown: RenderableType, width: int) -> list[str]:
    """What a terminal of this width shows."""
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=True)
    console.print(shown)
    return console.export_text().splitlines()


def tally(label: str | None = "积极") -> Tally:
    """A verdict on a long Chinese text."""
    counted = Tally()
    verdict = Verdict(
        "id",
        label,
        {"积极": 0.9, "消极": 0.1},
        ("text", "image"),
        None,
        MODEL,
        Source("posts", 0, 0),
    )
    counted.verdicts([Seen(verdict, "今天真开心" * 40, 12)], now_s=1.0)
    counted.dead_letter("malformed-json")
    counted.lag(1_234)
    return counted


def test_the_view_fits_into_80_and_120_columns() -> None:
    """No line is longer than the terminal, though a Chinese character takes two cells."""
    for width in (80, 120):
        shown = lines(render(tally().snapshot(1.5)), width)
        assert max(cell_len(line) for line in shown) <= width


def test_the_view_shows_what_the_demo_promises() -> None:
    """Rate, lag, shares, reasons, latency, and the last posts with label, scores and text."""
    shown = "\n".join(lines(render(tally().snapshot(1.5)), 80))

    for part in ("1/s", "1,234", "积极 100%", "malformed-json 1", "p50 12 ms", "p99 12 ms", ".90"):
        assert part in shown
    assert "今天真开心" in shown


def test_a_verdict_without_a_label_is_shown_as_that() -> None:
    """In the shares and among the last posts."""
    shown = "\n".join(lines(render(tally(None).snapshot(1.5)), 80))

    assert "no label 100%" in shown
    assert "no label  .90 .10" in shown


def test_nothing_yet_can_be_shown() -> None:
    """The first frame comes before the first verdict."""
    assert "verdicts" in "\n".join(lines(render(Tally().snapshot(0.0)), 80))


def test_a_spark_is_as_high_as_its_value() -> None:
    """The largest reaches the top, zero stays at the bottom, and something is more than nothing."""
    assert spark([0, 1, 50, 100]) == "▁▂▅█"
    assert spark([0, 0]) == "▁▁"
    assert spark([]) == ""
    assert len(spark(range(1000))) == 36


def test_reasons_come_by_their_number() -> None:
    """The most frequent is read first."""
    assert reasons({"a": 1, "b": 3, "c": 1}).plain == "5: b 3 · a 1 · c 1"
    assert reasons({}).plain == "0"


def test_shares_are_drawn_for_each_label() -> None:
    """Also for one that did not come."""
    assert shares({"x": 3, "y": 1, "z": 0}).plain == (
        "██████████████████ x 75%  ██████ y 25%   z 0%  "
    )
