import shutil
from pathlib import Path

import msgspec
import pytest

from inference.bundle import load as load_bundle
from schemas.manifest import FileSpec, TextBlock
from schemas.models import Models
from tests.tiny_bundle import write_manifest
from tests.unit.train.report.trained import Trained
from train.errors import ReportError
from train.report.figures import report_on
from train.report.reading import read


def test_what_belongs_together_is_read(trained: Trained) -> None:
    """Answers by strategy, out-of-fold scores by modality, and the bundle."""
    material = read(trained.models, None, [trained.bundle])
    assert material.corpus.folder == trained.corpus
    assert set(material.test.answers) == {"ensemble", "soft-voting"}
    assert material.test.answers["ensemble"].weights is None
    assert len(material.test.complete) == 28
    assert [scores.shape for scores in material.out_of_fold.scores] == [(120, 3), (120, 3)]
    assert material.bundles[0].manifest.strategy == "soft-voting"


def test_user_words_are_those_of_the_training(trained: Trained, tmp_path: Path) -> None:
    """Keywords are cut with them; a block that names a file which is not there is an error."""
    assert read(trained.models, None, ()).user_words == ()
    models = Path(shutil.copytree(trained.models, tmp_path / "models"))
    held = msgspec.json.decode((models / "models.json").read_bytes(), type=Models)
    words = FileSpec("text/user_words.json", "", 0)
    block = TextBlock("words", FileSpec("text/words.vocabulary.json", "", 0), user_words=words)
    held = msgspec.structs.replace(held, text=(block,))
    (models / "models.json").write_bytes(msgspec.json.encode(held))
    with pytest.raises(ReportError, match=r"user_words.json cannot be read.*train again"):
        read(models, None, ())
    (models / "text").mkdir(exist_ok=True)
    (models / "text" / "user_words.json").write_text('["苹果西瓜 9"]', encoding="utf-8")
    material = read(models, None, ())
    assert material.user_words == ("苹果西瓜 9",)
    found = report_on(material, lambda: 0.0).keywords
    assert [each.label for each in found] == list(held.labels)


def test_a_moved_corpus_is_found_where_it_is_named(trained: Trained, tmp_path: Path) -> None:
    """By its content, not by its place."""
    moved = Path(shutil.copytree(trained.corpus, tmp_path / "moved"))
    assert read(trained.models, moved, ()).corpus.folder == moved


def test_another_corpus_is_refused(trained: Trained, tmp_path: Path) -> None:
    """Its posts would be shown with the scores of others."""
    other = Path(shutil.copytree(trained.corpus, tmp_path / "other"))
    file = other / "test.jsonl"
    file.write_text(file.read_text(encoding="utf-8").replace("第2条", "第two条"), "utf-8")
    with pytest.raises(ReportError, match=r"not the corpus of this training.*--corpus"):
        read(trained.models, other, ())
    with pytest.raises(ReportError, match=r"is not there: name its folder with --corpus"):
        read(trained.models, tmp_path / "nowhere", ())


@pytest.mark.parametrize(
    ("field", "value"), [("corpus_sha256", "0"), ("seed", 8), ("strategy", "voting")]
)
def test_a_bundle_of_other_models_is_refused(
    trained: Trained, tmp_path: Path, field: str, value: object
) -> None:
    """Its parity and speed are not those of the models that the page is about."""
    bundle = Path(shutil.copytree(trained.bundle, tmp_path / "bundle"))
    manifest = load_bundle(bundle).manifest
    write_manifest(bundle, msgspec.structs.replace(manifest, **{field: value}))
    with pytest.raises(ReportError, match="not a bundle of these models"):
        read(trained.models, None, [bundle])


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("models.json", "name the folder that `tuwen train` wrote"),
        ("test.npz", "train again"),
        ("oof.npz", "train again"),
    ],
)
def test_a_missing_file_is_named(trained: Trained, tmp_path: Path, file: str, said: str) -> None:
    """With what to do."""
    models = Path(shutil.copytree(trained.models, tmp_path / "models"))
    (models / file).unlink()
    with pytest.raises(ReportError, match=rf"{file} cannot be read.*{said}"):
        read(models, None, ())
