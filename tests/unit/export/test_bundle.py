import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.bundle import ExportError, ParityError, export
from export.models_folder import ModelsFolder
from inference.bundle import load
from inference.classifier import Classifier
from schemas.progress import silent
from tests.small_models import STRATEGIES, Small, edit_weight

COMMON = 28
"""The column of 3.5, a term that many texts hold."""

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_trained_model_passes_the_gate(small: Small, tmp_path: Path, strategy: str) -> None:
    """Every stage within its tolerance of scikit-learn, Keras, jieba and numpy."""
    manifest = export(small.models, tmp_path / "posts", silent, strategy_name=strategy)
    figures = {figure.stage: figure for figure in manifest.parity.figures}
    assert {"tokens", "features", "text.scores", "image.scores", "scores"} <= set(figures)
    assert all(figure.max_abs <= figure.tolerance for figure in figures.values())
    assert figures["scores"].tolerance == (1e-5 if strategy == "soft-voting" else 1e-4)
    assert figures["scores"].rows == manifest.parity.rows == 132
    assert manifest.parity.adversarial_rows == 12
    assert manifest.parity.tokens_compared > 1000
    assert manifest.parity.labels_differing == 0


def test_the_bundle_can_be_loaded_and_used(small: Small, tmp_path: Path) -> None:
    """The manifest on disk is the one that was returned, and its graphs answer."""
    manifest = export(small.models, tmp_path / "posts", silent)
    bundle = load(tmp_path / "posts")
    assert bundle.manifest == manifest
    assert (manifest.name, manifest.strategy) == ("posts", "soft-voting")
    assert len(manifest.version) == 12
    assert manifest.versions.keys() >= {"onnxruntime", "tf2onnx", "skl2onnx", "rjieba", "tuwen"}
    assert manifest.text[0].cutter_version
    assert manifest.image is not None
    assert "pillow" in manifest.image.decoder_version
    found = Classifier(bundle).classify(["喜欢 推荐 满意", "失望 退货 糟糕"], [None, None])
    assert found.scores.argmax(axis=1).tolist() == [0, 2]


def test_graphs_give_only_what_fusion_takes(small: Small, tmp_path: Path) -> None:
    """Soft voting has no use for the embedding, so that no post pays for it."""
    soft = export(small.models, tmp_path / "soft", silent)
    both = export(small.models, tmp_path / "both", silent, strategy_name="concatenation")
    assert sorted(soft.graphs["text"].outputs) == ["text.scores"]
    assert sorted(both.graphs["text"].outputs) == ["text.embedding", "text.scores"]


def test_garbage_in_absent_inputs_changes_no_bit(small: Small, tmp_path: Path) -> None:
    """In the fusion graph of each strategy."""
    for strategy in STRATEGIES:
        export(small.models, tmp_path / strategy, silent, strategy_name=strategy)
        bundle = load(tmp_path / strategy)
        fusion = bundle.manifest.graphs["fusion"]
        mask = np.array([[True, False], [False, True], [True, True], [False, False]])
        random = np.random.default_rng(2)
        clean: dict[str, Any] = {"present": mask}
        garbage: dict[str, Any] = {"present": mask}
        for name, spec in fusion.inputs.items():
            if name != "present":
                width = int(spec.shape[1])
                here = mask[:, [0 if name.startswith("text") else 1]]
                values = random.normal(size=(4, width)).astype(np.float32)
                clean[name] = np.where(here, values, np.float32(0))
                garbage[name] = np.where(here, values, np.float32("nan"))
        found = bundle.graphs["fusion"].run(garbage, ["scores"])["scores"]
        expected = bundle.graphs["fusion"].run(clean, ["scores"])["scores"]
        assert found.tobytes() == expected.tobytes()
        assert np.allclose(found.sum(axis=1), 1)


def test_the_same_models_have_the_same_version(small: Small, tmp_path: Path) -> None:
    """Whenever they are exported; other weights have another."""
    first = export(small.models, tmp_path / "a" / "posts", silent)
    second = export(small.models, tmp_path / "b" / "posts", silent)
    other = export(small.models, tmp_path / "c" / "posts", silent, strategy_name="concatenation")
    assert first.version == second.version != other.version


def names_in(folder: Path) -> list[str]:
    """Everything, what is hidden too."""
    return sorted(each.name for each in folder.iterdir())


def nudge(place: Any) -> Callable[[Any], None]:
    """Add 1e-3 to one weight."""

    def change(array: Any) -> None:
        array[place] += 1e-3

    return change


@pytest.mark.parametrize(
    ("strategy", "file", "array", "place"),
    [
        ("soft-voting", "text/model.npz", "intercepts", 1),
        ("soft-voting", "text/model.npz", "words.idf", COMMON),
        ("soft-voting", "text/model.npz", "coefficients", (0, COMMON)),
        ("soft-voting", "fusion/soft-voting/weights.npz", "text.A", (0, 0)),
        ("soft-voting", "fusion/soft-voting/weights.npz", "image.b", 2),
        ("soft-voting", "fusion/soft-voting/weights.npz", "votes", 0),
        ("soft-voting", "fusion/soft-voting/weights.npz", "A", (3, 1, 1)),
        ("soft-voting", "fusion/soft-voting/weights.npz", "b", (1, 0)),
        ("concatenation", "text/model.npz", "embedding", (COMMON, 0)),
        ("concatenation", "fusion/concatenation/weights.npz", "b", (3, 0)),
        ("concatenation", "fusion/concatenation/weights.npz", "intercepts", 0),
        ("concatenation", "fusion/concatenation/weights.npz", "A", (2, 7, 0)),
    ],
)
def test_one_weight_changed_by_a_thousandth_fails_the_gate(
    models: Path, small: Small, tmp_path: Path, strategy: str, file: str, array: str, place: Any
) -> None:
    """Whichever it is, and then there is no bundle."""
    edit_weight(models, file, array, nudge(place))
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus, strategy)
    assert differing.value.differences
    assert not (tmp_path / "posts").exists()


@pytest.mark.parametrize("layer", [1, -1])
def test_one_weight_of_the_cnn_changed_by_a_thousandth_fails_the_gate(
    models: Path, small: Small, tmp_path: Path, layer: int
) -> None:
    """In its first layer and in its last."""
    from export.cnn import saved_model

    file = models / "image" / "model.keras"
    model = saved_model(file)
    weighted = [each for each in model.layers if each.weights]
    weights = weighted[min(layer, 0)].get_weights()
    weights[0].flat[5] += 1e-3
    weighted[min(layer, 0)].set_weights(weights)
    model.save(file)
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus)
    assert "scores" in differing.value.stages


def spoil(path: str, content: bytes | None) -> Callable[[Path], None]:
    """Replace a file, or delete it."""

    def apply(models: Path) -> None:
        if content is None:
            (models / path).unlink()
        else:
            (models / path).write_bytes(content)

    return apply


@pytest.mark.parametrize(
    ("apply", "said"),
    [
        (spoil("models.json", None), "models.json cannot be read"),
        (spoil("models.json", b"{"), "models.json cannot be read"),
        (spoil("models.json", b'{"contract": 9}'), "contract is not 1"),
        (spoil("text/model.npz", None), "model.npz cannot be read"),
        (spoil("text/model.npz", b"no npz"), "model.npz cannot be read"),
        (spoil("text/words.vocabulary.json", b"{}"), "words.vocabulary.json cannot be read"),
        (spoil("image/model.keras", b"no model"), "model.keras cannot be read"),
        (spoil("fusion/soft-voting/strategy.json", None), "strategy.json cannot be read"),
        (spoil("evaluation.json", b"{}"), "has no 'soft-voting'"),
        (spoil("reference/rows.jsonl", b""), "not of one length"),
        (spoil("reference/tokens.jsonl", b"null\n"), "not of one length"),
        (spoil("reference/features.npz", None), "features.npz cannot be read"),
    ],
)
def test_a_models_folder_that_is_not_whole_is_refused(
    models: Path, small: Small, tmp_path: Path, apply: Callable[[Path], None], said: str
) -> None:
    """By the file, and with nothing left behind."""
    apply(models)
    with pytest.raises(ExportError, match=said):
        export(models, tmp_path / "out" / "posts", silent, small.corpus)
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_a_graph_that_does_not_load_is_named(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a converter wrote; no bundle is left."""
    monkeypatch.setattr("export.bundle.text_graph", lambda *_: b"no graph")
    with pytest.raises(ExportError, match="cannot load the text graph"):
        export(small.models, tmp_path / "posts", silent)
    assert names_in(tmp_path) == []


def test_a_corpus_that_is_elsewhere_is_named(models: Path, tmp_path: Path) -> None:
    """The reference's pictures are read from it."""
    with pytest.raises(ExportError, match="name the corpus"):
        export(models, tmp_path / "posts", silent, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["seventh-sense", "../x", "seam"])
def test_a_strategy_that_was_not_trained_is_refused(
    small: Small, tmp_path: Path, name: str
) -> None:
    """With those that were."""
    with pytest.raises(ExportError, match="soft-voting, concatenation"):
        export(small.models, tmp_path / "posts", silent, strategy_name=name)


def test_a_folder_that_is_no_bundle_is_not_overwritten(small: Small, tmp_path: Path) -> None:
    """What lies in it may be dear to somebody."""
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "diary.txt").write_text("dear")
    with pytest.raises(ExportError, match="is no bundle"):
        export(small.models, tmp_path / "posts", silent)
    assert names_in(tmp_path / "posts") == ["diary.txt"]


def test_a_bundle_is_replaced_whole(small: Small, tmp_path: Path) -> None:
    """And nothing of the former stays, nor anything beside."""
    export(small.models, tmp_path / "posts", silent)
    (tmp_path / "posts" / "left-over").write_text("x")
    manifest = export(small.models, tmp_path / "posts", silent, strategy_name="concatenation")
    assert load(tmp_path / "posts").manifest == manifest
    assert not (tmp_path / "posts" / "left-over").exists()
    assert names_in(tmp_path) == ["posts"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit(1)])
def test_an_interruption_leaves_the_former_bundle(
    small: Small, tmp_path: Path, interruption: BaseException
) -> None:
    """Ctrl-C in the middle of the gate."""
    former = export(small.models, tmp_path / "posts", silent)

    def interrupt(step: str, done: int, total: int, note: str = "") -> None:
        if step == "parity":
            raise interruption

    with pytest.raises(type(interruption)):
        export(small.models, tmp_path / "posts", interrupt, strategy_name="concatenation")
    assert load(tmp_path / "posts").manifest == former
    assert names_in(tmp_path) == ["posts"]


def test_a_full_disk_is_said_and_leaves_nothing(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What to do is to free some space."""
    written = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "fusion.onnx":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return written(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ExportError, match="free some space"):
        export(small.models, tmp_path / "posts", silent)
    assert names_in(tmp_path) == []


def test_nothing_is_printed(
    small: Small, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither TensorFlow nor the converters have a say."""
    export(small.models, tmp_path / "posts", silent, strategy_name="concatenation")
    assert capfd.readouterr() == ("", "")


def test_the_models_folder_is_read_without_pickle(models: Path, tmp_path: Path) -> None:
    """An array of objects could run code when it is read."""
    np.savez(models / "text" / "model.npz", coefficients=np.array([{}], dtype=object))
    with pytest.raises(ExportError, match="cannot be read"):
        export(models, tmp_path / "posts", silent)


def test_progress_is_told(small: Small, tmp_path: Path) -> None:
    """Converting, comparing, done."""
    steps: list[tuple[str, int, int]] = []

    def tell(step: str, done: int, total: int, note: str = "") -> None:
        steps.append((step, done, total))

    export(small.models, tmp_path / "posts", tell)
    assert list(dict.fromkeys(step for step, _, _ in steps)) == ["convert", "parity", "export"]
    assert [done for step, done, total in steps if step == "parity"] == [64, 128, 132]


def test_the_graphs_keep_to_onnx_own_operators(small: Small, tmp_path: Path) -> None:
    """One opset for all, and the scaler of skl2onnx in the SVM's graph."""
    export(small.models, tmp_path / "posts", silent, strategy_name="concatenation")
    fusion = onnx.load_from_string((tmp_path / "posts" / "fusion.onnx").read_bytes())
    assert "Scaler" in [node.op_type for node in fusion.graph.node]
    assert {o.domain: o.version for o in fusion.opset_import}[""] == 18


def test_a_models_folder_says_what_it_is(small: Small) -> None:
    """Read as values."""
    from export.models_folder import read

    folder = read(small.models)
    assert isinstance(folder, ModelsFolder)
    assert folder.models.strategies == STRATEGIES
