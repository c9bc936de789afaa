"""Measuring fetches by http, on a few of them."""

import pytest

from benchmarks import image_hosts


@pytest.mark.parametrize("words", [[], ["--bucket"]])
def test_it_tells_what_was_fetched_and_what_it_cost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """All images come from hosts that answer, in a process of their own."""
    monkeypatch.setattr(image_hosts, "IMAGES", 3 * image_hosts.BATCH)
    assert image_hosts.main(words) == 0
    said = capsys.readouterr().out
    assert "192 of 192 fetched, " in said
    assert "µs CPU a post" in said
