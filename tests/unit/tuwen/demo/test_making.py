import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tuwen.demo import making
from tuwen.demo.layout import DemoSettings, Layout
from tuwen.demo.making import Made, make
from tuwen.demo.running import Running
from tuwen.demo.stages import Stages
from tuwen.failures import Failed

BUILD = """\
import sys
print('{"type":"Step","step":"drawing","done":1,"total":1,"note":""}')
print('{"type":"Finished","stage":"corpus","seconds":1.0,"words":["5 posts"]}')
"""
REST = """\
print('{"type":"Finished","stage":"training","seconds":1.0,"words":["accuracy .9"]}')
print('{"type":"Finished","stage":"export","seconds":1.0,"words":[]}')
"""
BROKEN = """\
print('{"type":"Broken","text":"the disk is full"}')
sys.exit(1)
"""
DEAD = "sys.exit('out of memory')\n"


class Bench:
    """A folder in which things are made by a stand-in for the process that makes them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(folder)
        self.console = Console(file=io.StringIO(), width=100)
        self._monkeypatch = monkeypatch

    def make(self, program: str, settings: DemoSettings) -> Made:
        """Make all with a program in the child's place."""
        script = self.layout.root.parent / "child.py"
        script.write_text(program, encoding="utf-8")
        self._monkeypatch.setattr(making, "BUILD_MODULE", ["-P", str(script)])
        return make(Running(self.layout), self.layout, settings, Stages(self.console))

    def made(self) -> None:
        """Put there what the stand-in does not make."""
        self.layout.corpus.mkdir(parents=True, exist_ok=True)
        self.layout.bundle.mkdir(parents=True, exist_ok=True)
        self.layout.report.touch()

    @property
    def said(self) -> str:
        """What was printed."""
        assert isinstance(self.console.file, io.StringIO)
        return self.console.file.getvalue()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A new folder."""
    return Bench(tmp_path / "demo", monkeypatch)


def test_what_was_made_is_used_again_while_it_fits(bench: Bench) -> None:
    """And is made again with another seed, or when asked to."""
    bench.make(BUILD + REST, DemoSettings())
    bench.made()

    again = bench.make("raise SystemExit('not to be run')", DemoSettings())

    assert again.words["training"] == ["accuracy .9"]
    assert "used again: nothing that it is made from has changed" in bench.said
    for settings in (DemoSettings(seed=99), DemoSettings(making="fresh")):
        with pytest.raises(Failed):
            bench.make("raise SystemExit('is run')", settings)


def test_what_was_made_is_not_used_when_it_is_gone(bench: Bench) -> None:
    """A fingerprint without a bundle is worth nothing."""
    bench.make(BUILD + REST, DemoSettings())

    with pytest.raises(Failed):
        bench.make("raise SystemExit('is run')", DemoSettings())


def test_a_failed_stage_is_told_in_its_own_words_and_nothing_counts_as_made(bench: Bench) -> None:
    """The next run begins anew."""
    with pytest.raises(Failed, match=r"^the disk is full$"):
        bench.make(BUILD + BROKEN, DemoSettings())
    assert not bench.layout.made.exists()


def test_a_child_that_dies_is_told_with_its_last_words(bench: Bench) -> None:
    """And with the log that holds them."""
    with pytest.raises(Failed, match="out of memory"):
        bench.make(BUILD + DEAD, DemoSettings())


def test_what_a_killed_run_was_writing_is_removed(bench: Bench) -> None:
    """It lies beside the folder, under a name of its own."""
    left = bench.layout.root / ".corpus.123"
    left.mkdir(parents=True)

    bench.make(BUILD + REST, DemoSettings())

    assert not left.exists()


def test_made_is_written_as_it_was_told(bench: Bench) -> None:
    """So that a later run can say what the first one said."""
    made = bench.make(BUILD + REST, DemoSettings())

    assert msgspec.json.decode(bench.layout.made.read_bytes(), type=Made) == made
    assert made.words["corpus"] == ["5 posts"]
