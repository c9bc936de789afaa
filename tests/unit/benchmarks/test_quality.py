"""The figures of quality: what is measured, and what is called reached."""

import json
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import __main__ as door
from benchmarks.quality import corpora, measures
from benchmarks.quality.categories import WORDS, Made, make
from benchmarks.quality.corpora import ARCHIVE, TEST_DATA, NoRealPosts
from benchmarks.quality.figures import Figure, at_least, at_most, equal, table
from benchmarks.quality.runs import Run
from benchmarks.through_kafka import Answers
from schemas.manifest import Evaluation, Manifest, Parity, ParityFigure
from schemas.models import Choice, ComparedStrategy
from tests.unit.train.corpora import good_corpus
from train.corpus import load
from train.settings import TrainSettings
from train.training import TrainingSummary

ROWS = 400


def _run(*, image: float = 0.8, ensemble: float = 0.86, chosen: str = "ensemble") -> Run:
    """Two strategies on posts of two labels; the probabilities are what they say they are."""
    chance = np.random.default_rng(1)
    truth = chance.integers(0, 2, ROWS)
    said = {
        name: {
            "text": _said(truth, 0.78),
            "image": _said(truth, 0.8),
            "fused": _said(truth, fused),
        }
        for name, fused in {"soft-voting": 0.84, "ensemble": ensemble}.items()
    }
    evaluations = {
        name: Evaluation(
            ROWS,
            {"text": 0.78, "image": image, "fused": fused},
            {"text": 0.01, "image": 0.01, "fused": 0.02},
            0.5,
        )
        for name, fused in {"soft-voting": 0.84, "ensemble": ensemble}.items()
    }
    compared = tuple(ComparedStrategy(n, 900, 0.51, 0.5, 0.6, 0.0, 1.0, 9) for n in evaluations)
    choice = Choice(chosen, chosen, compared)
    f1s = {name: each.accuracy for name, each in evaluations.items()}
    summary = TrainingSummary(chosen, choice, evaluations, 900, 0, 0, 60.0, {}, f1s, True, 0)
    return Run(7, Path(), summary, {}, said, truth, 100.0)


def _said(truth: np.ndarray, accuracy: float) -> np.ndarray:
    right = np.arange(len(truth)) < accuracy * len(truth)
    first = np.where(right == (truth == 0), accuracy, 1 - accuracy)
    return np.stack((first, 1 - first), axis=1)


def _missed(figures: Sequence[Figure]) -> list[str]:
    return [figure.what for figure in figures if not figure.reached]


def test_a_figure_is_reached_or_not() -> None:
    """The bound itself is enough; the table says which are not."""
    assert at_least("a", 0.5, 0.5).reached
    assert not at_least("a", 0.4999, 0.5).reached
    assert at_most("a", 0.5, 0.5).reached
    assert not at_most("a", 0.51, 0.5).reached
    assert equal("a", 0, 0).reached
    assert not equal("a", 1, 0).reached
    assert list(table([at_least("what", 0.25, 0.5)]))[-1] == "| what | 0.2500 | ≥ 0.5 | **no** |"


def test_medians_are_held_against_their_targets() -> None:
    """One bad seed of three is none; two are."""
    good, bad = _run(), _run(image=0.7)
    assert _missed(list(measures.accuracies([good, bad, good]))) == []
    assert _missed(list(measures.accuracies([good, bad, bad]))) == ["image alone"]
    weak = _run(ensemble=0.81)
    missed = _missed(list(measures.accuracies([weak])))
    assert missed == ["ensemble, fused", "least gain over the better modality"]


def test_a_choice_far_below_the_best_is_a_fault() -> None:
    """By more than the bound, or significantly."""
    assert _missed(list(measures.choices([_run()]))) == []
    worse = _run(ensemble=0.95, chosen="soft-voting")
    assert _missed(list(measures.choices([worse]))) == [
        "seed 7: chosen below the best",
        "seed 7: its corrected p",
    ]


def test_one_modality_is_answered_alike_by_all() -> None:
    """A strategy that answers another thing is found."""
    run = _run()
    assert _missed(list(measures.missing([run]))) == []
    other = {**run.said["ensemble"], "text": run.said["ensemble"]["text"][::-1]}
    spoilt = replace(run, said={**run.said, "ensemble": other})
    assert _missed(list(measures.missing([spoilt]))) == ["text alone: off its own calibrated model"]


def test_a_perfect_model_has_an_error_of_chance_alone() -> None:
    """More rows, less of it; certainty has none."""
    even = np.full((200, 2), 0.5)
    assert 0.03 < measures.perfect_error(even, 1) < 0.12
    assert measures.perfect_error(np.tile(even, (50, 1)), 1) < 0.02
    assert measures.perfect_error(np.tile([[1.0, 0.0]], (200, 1)), 1) == 0


def test_what_is_above_chance_on_permuted_labels_has_leaked() -> None:
    """The figures of `_run` are such, on the test half; in training they are chance."""
    missed = _missed(list(measures.leakage(_run())))
    assert missed == [
        f"{name}, labels permuted: test off chance" for name in ("soft-voting", "ensemble")
    ]


def test_time_and_parity_are_held_against_their_targets() -> None:
    """The longest training counts, and the worst gate."""
    run = _run()
    assert _missed(list(measures.durations([run], run))) == []
    slow = replace(run, seconds=901.0)
    assert len(_missed(list(measures.durations([run, slow], slow)))) == 2
    good = _manifest(Parity((ParityFigure("scores", 110, 3e-7, 1e-5),), 10_000, 10, 1000, 0, 0))
    assert _missed(list(measures.parities([good]))) == []
    bad = _manifest(Parity((ParityFigure("scores", 110, 3e-5, 1e-5),), 900, 10, 1000, 1, 9))
    assert len(_missed(list(measures.parities([good, bad])))) == 4


def _manifest(parity: Parity) -> Manifest:
    return Manifest(
        contract=1,
        feature_version=1,
        name="demo",
        version="1",
        labels=("a", "b"),
        modalities=("text", "image"),
        strategy="soft-voting",
        graphs={},
        text=(),
        image=None,
        evaluation=Evaluation(1, {}, {}, 0.5),
        parity=parity,
        settings={},
        versions={},
        seed=7,
        corpus_sha256="",
    )


def test_a_post_that_is_answered_twice_or_not_at_all_is_a_fault() -> None:
    """Both are counted."""
    good = Answers(posts=10, verdicts=10, dead_letters=0, twice=0, accuracy=0.9, seconds=1.0)
    assert _missed(list(door.served(good))) == []
    for bad in (replace(good, verdicts=9), replace(good, twice=1)):
        assert _missed(list(door.served(bad))) == ["posts without exactly one verdict"]


def test_permuted_labels_are_the_same_labels(tmp_path: Path) -> None:
    """Each kind by itself; a row without one stays without."""
    corpus = good_corpus(tmp_path / "corpus")
    out = corpora.permuted(corpus, tmp_path / "permuted", 3)
    for half in ("train.jsonl", "test.jsonl"):
        one, two = (
            [json.loads(line) for line in (folder / half).read_text("utf-8").splitlines()]
            for folder in (corpus, out)
        )
        assert [row["id"] for row in one] == [row["id"] for row in two]
        assert sorted(row["label"] for row in one) == sorted(row["label"] for row in two)
        assert not any("label_name" in row for row in two)
    assert (out / "images").is_dir()


def test_real_posts_are_unpacked_where_they_are_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the folder that the variable names, in whatever folder of the archive they lie."""
    corpus = good_corpus(tmp_path / "made")
    (tmp_path / "shared" / "data").mkdir(parents=True)
    with tarfile.open(tmp_path / "shared" / ARCHIVE, "w:gz") as archive:
        archive.add(corpus, arcname="pairs")
    monkeypatch.setenv(TEST_DATA, str(tmp_path / "shared"))
    assert corpora.real(tmp_path) == tmp_path / "unpacked" / "pairs"


def test_without_real_posts_their_parts_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a word on what to set, and an exit code that says that something is missing."""
    monkeypatch.delenv(TEST_DATA, raising=False)
    with pytest.raises(NoRealPosts, match=TEST_DATA):
        corpora.real(Path())
    monkeypatch.setattr(sys, "argv", ["quality", "--part", "real", "--part", "leakage"])
    assert door.main() == 2
    said = capsys.readouterr().err
    assert "real is left out" in said
    assert "leakage is left out" in said


def test_macro_f1_is_held_against_the_better_modality() -> None:
    """Fused it must be as high as that, and the note gives both."""
    run = _run()
    good = measures.macro_f1("ten", run)
    assert good.reached
    assert (good.target, good.measured) == ("≥ 0.8", "0.8600 (text 0.7800, image 0.8000)")
    assert _missed([measures.macro_f1("ten", _run(ensemble=0.79))]) == ["ten: macro-F1, fused"]


def test_of_the_rarest_label_class_weights_must_find_more() -> None:
    """As much at least as without."""
    run = _run()
    rare = np.flatnonzero(run.truth == np.bincount(run.truth).argmin())
    said = run.said["ensemble"]["fused"].copy()
    said[rare] = np.eye(2)[1 - run.truth[rare]]
    blind = replace(run, said={**run.said, "ensemble": {"fused": said}})
    assert measures.recall_of_rarest("few", run, blind).reached
    assert not measures.recall_of_rarest("few", blind, run).reached


def test_categories_have_their_shares_and_lack_images(tmp_path: Path) -> None:
    """A third of the rows; some texts are long; equal seeds give equal corpora."""
    shares = Made((0.62, 0.3, 0.08), train=300, test=50)
    one, two = (load(make(tmp_path / name, shares, 3)) for name in ("one", "two"))
    assert one.sha256 == two.sha256
    assert [sum(row.label == label for row in one.train) for label in range(3)] == [186, 90, 24]
    assert 0.25 < sum(row.image is None for row in one.train) / 300 < 0.42
    lengths = [len(row.text or "") for row in one.train]
    assert 500 < max(lengths) <= 10_000
    assert one.labels == ("书籍", "手机", "水果")


def test_every_category_has_a_picture_of_its_own(tmp_path: Path) -> None:
    """As many figures as there are lists of words."""
    made = load(make(tmp_path / "ten", Made((1.0,) * len(WORDS), train=100, test=20), 1))
    assert made.labels == tuple(WORDS)
    assert {row.label for row in made.train if row.image} == set(range(len(WORDS)))


def test_labels_are_weighed_alike_in_the_last_of_three(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten categories, a rare label, and the same with class weights."""
    weights: list[tuple[str, str]] = []

    def trained(corpus: Path, folder: Path, settings: TrainSettings) -> Run:
        weights.append((corpus.name, settings.class_weight))
        return _run()

    monkeypatch.setattr(door, "make", lambda folder, made, seed: folder)
    monkeypatch.setattr(door, "run", trained)
    assert len(list(door.labels(tmp_path, [5]))) == 4
    assert weights == [("ten", "none"), ("few", "none"), ("few", "balanced")]
