import errno
import re
from pathlib import Path

import pytest
from kafka.errors import KafkaTimeoutError

from export.errors import Difference, ExportError, ParityError
from inference.errors import BundleError
from train.errors import CollapsedError, CorpusError
from tuwen.failures import EXTRAS, FAILED, REFUSED, Failed, Refused, explain
from tuwen.local_kafka_errors import JavaMissing
from worker.errors import LinkFileRefused, SlotTaken, UnknownTopic
from worker.images.file import ImageRootError
from worker.settings_sources import SettingsError

OWN = [
    Failed("a b"),
    BundleError(Path("b/manifest.json"), "is gone", "export again"),
    CorpusError("corpus: no train.jsonl"),
    CollapsedError("nothing learnt"),
    ExportError("cannot write"),
    ParityError([Difference("text", "row 1", "text a", "1.0", "2.0", 1.0, 0.1)], 9, brought=False),
    JavaMissing("no Java"),
    UnknownTopic("posts"),
    SlotTaken("slot 1 is taken"),
]


@pytest.mark.parametrize("fault", OWN, ids=lambda fault: type(fault).__name__)
def test_an_error_of_ours_says_its_own_text(fault: Exception) -> None:
    """They are written for the reader; the exit code says that the work failed."""
    assert explain(fault).text == str(fault)
    assert explain(fault).code == FAILED


@pytest.mark.parametrize("fault", [Refused("no"), SettingsError("no"), LinkFileRefused("no")])
def test_what_was_never_begun_is_refused(fault: Exception) -> None:
    """With an exit code of its own."""
    assert explain(fault).code == REFUSED


def test_a_full_disk_is_said_so() -> None:
    """With the file that was being written, where it is known."""
    assert explain(OSError(errno.ENOSPC, "No space left", "b/x")).text == (
        "the disk is full, writing b/x: free some space and try again"
    )
    assert "the disk is full" in explain(OSError(errno.ENOSPC, "No space left")).text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOENT, "there is no x"),
        (errno.EACCES, "not allowed to use x"),
        (errno.EISDIR, "x is a folder"),
        (errno.ENOTDIR, "x is in the way"),
        (errno.EADDRINUSE, "the port is taken"),
        (errno.EIO, "the system refused x"),
    ],
)
def test_what_the_system_refuses_is_told_with_its_thing(number: int, words: str) -> None:
    """Whatever it is that the system refuses."""
    failure = explain(OSError(number, "as the system says it", "x"))

    assert words in failure.text
    assert failure.code == FAILED


def test_an_os_error_of_our_own_making_says_its_own_text() -> None:
    """It knows more than an error number does."""
    assert explain(FileExistsError("x is not empty: remove it")).text == "x is not empty: remove it"
    assert explain(ImageRootError(2, "image_root x cannot be opened")).text == (
        "image_root x cannot be opened"
    )


@pytest.mark.parametrize(("package", "extra"), EXTRAS.items())
def test_a_package_that_is_missing_names_its_extra(package: str, extra: str) -> None:
    """Nobody has to guess what to install."""
    fault = ModuleNotFoundError(f"No module named '{package}.x'", name=f"{package}.x")

    assert explain(fault).text.endswith(f"pip install 'tuwen[{extra}]'")


def test_kafka_that_does_not_answer_says_how_to_start_one() -> None:
    """Instead of the client's own words."""
    assert "tuwen kafka start" in explain(KafkaTimeoutError("x")).text


@pytest.mark.parametrize("fault", [ValueError("odd"), ModuleNotFoundError("x", name="own.thing")])
def test_a_fault_of_tuwen_itself_is_one_line_and_a_report(fault: Exception) -> None:
    """Never a traceback on the screen; whoever reports it has a file to send."""
    failure = explain(fault)

    report = re.search(r"(/\S+\.txt)", failure.text)
    assert report is not None
    assert type(fault).__name__ in Path(report[1]).read_text(encoding="utf-8")
    assert "\n" not in failure.text
    Path(report[1]).unlink()
