"""An eighth strategy, one file in each room, from a folder outside of the tree."""

import json
import shutil
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from schemas.manifest import Manifest
from schemas.progress import silent
from tests.outside.train import log_pool
from train.settings import TrainSettings
from tuwen.command import run
from tuwen.demo_corpus import generate

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

OUTSIDE = Path(__file__).parents[2] / "outside"
ROOMS = {room: Path("mine") / room / "log_pool.py" for room in ("train", "export")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the two files, and what the command trained by one of them."""
    place = tmp_path_factory.mktemp("outside")
    for room, file in ROOMS.items():
        (place / file).parent.mkdir(parents=True)
        shutil.copy(OUTSIDE / room / "log_pool.py", place / file)
    generate(place / "corpus", 3, 200, 60, silent)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        # Ten thousand rows for the gate would take longer than all the rest.
        few = partial(TrainSettings, reference_rows_max=100)
        patched.setattr("tuwen.commands.train.TrainSettings", few)
        named = ["--own-strategy", str(ROOMS["train"]), "--strategy", "log-pool"]
        quick = ["--cnn", "brief", "--epochs", "1"]
        assert run(["train", "corpus", "--out", "models", *named, *quick]) == 0
    return place


@pytest.fixture(autouse=True)
def _there(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)


def test_it_goes_the_whole_way(capsys: pytest.CaptureFixture[str]) -> None:
    """Trained, reported, through the gate, and classified by code that does not know it."""
    assert run(["export", "models", "--out", "bundle", "--own-strategy", str(ROOMS["export"])]) == 0
    assert run(["evaluate", "bundle", "corpus", "--json"]) == 0

    manifest = msgspec.json.decode(Path("bundle/manifest.json").read_bytes(), type=Manifest)
    assert manifest.strategy == "log-pool"
    figures = {figure.stage: figure for figure in manifest.parity.figures}
    assert figures["scores"].max_abs < figures["scores"].tolerance == 1e-5
    assert manifest.parity.labels_differing == 0
    judged = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert judged["bundle"]["model"]["strategy"] == "log-pool"
    served = judged["bundle"]["by_presence"]["complete"]["accuracy"]["value"]
    assert served == pytest.approx(manifest.evaluation.accuracy["fused"])
    assert "log-pool" in Path("models/report.html").read_text(encoding="utf-8")


def test_without_its_file_export_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    """The models folder holds no code."""
    assert run(["export", "models", "--out", "other"]) == 1

    assert "--own-strategy log_pool.py" in capsys.readouterr().err
    assert not Path("other").exists()


def test_another_strategy_than_those_trained_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Of models export takes the strategy that is asked for, or says which there are."""
    assert run(["export", "models", "--strategy", "voting", "--out", "other"]) == 1

    assert "'voting' was not trained; there are log-pool" in capsys.readouterr().err
    assert not Path("other").exists()


def test_a_graph_that_says_something_else_makes_no_bundle(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The gate asks the strategy's own reference, whoever wrote it."""
    wrong = Path("wrong/log_pool.py")
    wrong.parent.mkdir()
    right = (OUTSIDE / "export" / "log_pool.py").read_text(encoding="utf-8")
    wrong.write_text(right.replace("len(parts.modalities))", "3)"), encoding="utf-8")

    assert run(["export", "models", "--out", "other", "--own-strategy", str(wrong)]) == 1

    assert "what would be served is not what" in capsys.readouterr().err
    assert not Path("other").exists()


def test_the_saved_weights_say_what_the_reference_says() -> None:
    """With one modality alone the answer is that modality's own calibrated score."""
    weights = np.load("models/fusion/log-pool/weights.npz")
    reference = np.load("models/reference/scores.npz")
    alone = reference["present"].tolist().index([True, False])
    logits = reference["text.scores"][alone] @ weights["text.A"] + weights["text.b"]
    own = np.exp(logits) / np.exp(logits).sum()
    assert reference["log-pool.scores"][alone] == pytest.approx(own)
    assert log_pool.STRATEGY.name == "log-pool"
