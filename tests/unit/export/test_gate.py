"""What the gate finds, and how it is shown."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.bundle import ParityError, export
from schemas.progress import silent
from tests.small_models import Small, edit_weight, save_arrays

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_a_failed_gate_shows_where_it_begins_and_where_it_ends(
    models: Path, small: Small, tmp_path: Path
) -> None:
    """Side by side, worst first, at most five rows of each; of the other stages the number."""
    edit_weight(models, "text/model.npz", "intercepts", lambda array: array.__setitem__(0, 9.0))
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus)
    assert differing.value.stages == ("text.scores", "scores", "labels")
    lines = str(differing.value).splitlines()
    assert lines[0] == "no bundle was written: what would be served is not what training gave"
    assert lines[1].startswith("  it begins with text.scores, the SVM's raw scores: ")
    assert sum(line.startswith("      trained  ") for line in lines) == 10
    assert any(line.startswith("  besides, labels in ") for line in lines)
    assert any(line.startswith("  it ends in scores, what fusion publishes: ") for line in lines)
    assert lines[-1].startswith("  train again with this version")
    apart = [each.by for each in differing.value.of("scores")]
    assert apart == sorted(apart, reverse=True)
    worst = differing.value.of("text.scores")[0]
    assert f"    {worst.row}  {worst.post}" in lines
    assert worst.post.startswith('text "')


def test_what_was_brought_is_not_to_be_trained_again(
    models: Path, small: Small, tmp_path: Path
) -> None:
    """Its owner is told to look at the step where it begins."""
    edit_weight(models, "text/model.npz", "intercepts", lambda array: array.__setitem__(0, 9.0))
    described = json.loads((models / "models.json").read_bytes())
    described["settings"] = {"brought": ["text", "image"]}
    (models / "models.json").write_text(json.dumps(described))
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus)
    said = str(differing.value)
    assert "is not what its owner gave" in said
    assert "look at the step where it begins" in said
    assert "train again" not in said


def test_a_post_that_is_cut_otherwise_fails_the_gate(
    models: Path, small: Small, tmp_path: Path
) -> None:
    """Though its scores may be equal: the words are shown from the first that differs."""
    file = models / "reference" / "tokens.jsonl"
    lines = file.read_text("utf-8").splitlines()
    tokens = json.loads(lines[0])
    lines[0] = json.dumps(["".join(tokens[:2]), *tokens[2:]])
    file.write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus)
    [difference] = differing.value.differences
    assert (difference.stage, difference.row) == ("tokens", "row-0")
    assert difference.found.startswith("/".join(tokens[:2]))


def test_a_term_that_is_counted_otherwise_fails_the_gate(
    models: Path, small: Small, tmp_path: Path
) -> None:
    """Though its scores may be equal: the terms are shown with both counts."""
    edit_weight(models, "reference/features.npz", "words.counts", nudge_count)
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus)
    [difference] = differing.value.differences
    assert (difference.stage, difference.row) == ("features", "row-0")
    assert difference.reference.endswith("×7")
    assert difference.reference[:-1] == difference.found[:-1]


def nudge_count(counts: Any) -> None:
    """The first term stands seven times."""
    counts[0] = 7


def test_a_term_that_is_not_found_fails_the_gate(
    models: Path, small: Small, tmp_path: Path
) -> None:
    """A vocabulary in another order finds other terms; it is seen before any score."""
    file = models / "text" / "characters.vocabulary.json"
    terms = json.loads(file.read_bytes())
    file.write_text(json.dumps(terms[::-1]), "utf-8")
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus)
    assert differing.value.stages[0] == "features"


def test_wide_tensors_are_compared_on_some_rows(models: Path, small: Small, tmp_path: Path) -> None:
    """On those that the reference names; a difference there is found, and shown by its row."""
    rows = np.array([3, 40, 90])
    arrays = dict(np.load(models / "reference" / "scores.npz"))
    arrays["text.embedding"] = arrays["text.embedding"][rows]
    save_arrays(models / "reference" / "scores.npz", {**arrays, "wide": rows})
    manifest = export(models, tmp_path / "posts", silent, small.corpus, "concatenation")
    figures = {figure.stage: figure for figure in manifest.parity.figures}
    assert (figures["text.embedding"].rows, figures["scores"].rows) == (3, 132)
    arrays["text.embedding"][1] += 1e-3
    save_arrays(models / "reference" / "scores.npz", {**arrays, "wide": rows})
    with pytest.raises(ParityError) as differing:
        export(models, tmp_path / "posts", silent, small.corpus, "concatenation")
    assert [each.row for each in differing.value.differences] == ["row-40"]
