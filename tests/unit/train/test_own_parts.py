"""One whole training with parts of one's own, a CNN and user words, from the files to serving."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pytest

from export.bundle import export
from inference.bundle import load as load_bundle
from inference.classifier import Classifier
from inference.explaining import explain
from schemas.models import Models
from schemas.progress import silent
from tests.unit.train.test_own_cnn import HEIGHT, WIDTH, own_cnn
from train import image_model
from train.corpus import load
from train.own_cnn import described
from train.quiet_keras import load as load_keras
from train.reference_terms import jieba_with, reference_tokens
from train.report.writing import write_report
from train.settings import TrainSettings
from train.training import train
from tuwen.demo_corpus import generate

pytestmark = [
    pytest.mark.training,
    # Keras converts arrays in a way that numpy 2 has deprecated.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@dataclass(frozen=True, slots=True)
class Owned:
    """A training with a CNN of one's own, fitted in several processes, and a user word."""

    root: Path
    word: str

    @property
    def models(self) -> Models:
        """What was trained."""
        return msgspec.json.decode((self.root / "models" / "models.json").read_bytes(), type=Models)


def _word(texts: list[str]) -> str:
    """The four characters that most often stand as two words of jieba's."""
    pairs: Counter[str] = Counter()
    for text in texts:
        words = jieba_with().lcut(text)
        pairs.update(a + b for a, b in pairwise(words) if len(a) == len(b) == 2 and a.isalpha())
    return max(pairs, key=lambda pair: (pair.isalpha(), pairs[pair], pair))


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Owned:
    """One for all tests: by the strategy that reads single words and regions of the picture."""
    root = tmp_path_factory.mktemp("owned")
    generate(root / "corpus", 3, 160, 60, silent)
    _, keras = load_keras()
    own_cnn(keras.layers.Dense(3, activation="softmax")).save(root / "mine.keras")
    word = _word([row.text for row in load(root / "corpus").test if row.text])
    settings = TrainSettings(
        strategies=("attention",),
        cnn=described(root / "mine.keras", "0-1"),
        epochs=1,
        image_scoring="out-of-fold",
        folds=2,
        text_folds=3,
        text_costs=(0.3,),
        text_user_words=(word,),
        embedding_width=8,
        reference_rows_max=100,
    )
    with pytest.MonkeyPatch.context() as patched:
        # A CNN of one epoch has learned nothing yet: it is not tried again.
        patched.setattr(image_model, "RUNS_MAX", 1)
        train(root / "corpus", root / "models", settings, silent)
    write_report(root / "models", root / "models" / "report.html", silent, root / "corpus")
    export(root / "models", root / "bundle", silent)
    return Owned(root, word)


def test_models_say_what_was_brought_and_not_where_from(owned: Owned) -> None:
    """The file by name and content, the user words by number; the size is the CNN's."""
    models = owned.models
    assert models.settings["cnn"] == "mine.keras"
    assert models.settings["cnn_scale"] == "0-1"
    assert len(models.settings["cnn_sha256"]) == 64
    assert models.settings["text_user_words"] == 1
    assert str(owned.root) not in str(models.settings)
    assert models.image is not None
    assert (models.image.height, models.image.width, models.image.channels) == (HEIGHT, WIDTH, 1)


def test_the_gate_lets_them_pass_and_the_bundle_answers(owned: Owned) -> None:
    """What is served is what was trained, the words' cuts and the CNN's regions included."""
    bundle = load_bundle(owned.root / "bundle")
    stages = {figure.stage for figure in bundle.manifest.parity.figures}
    assert {"tokens", "image.scores", "image.regions"} <= stages
    assert bundle.manifest.parity.labels_differing == 0
    pixels = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    scores = Classifier(bundle).classify(["很好", None], [pixels, pixels]).scores
    assert scores.sum(axis=1) == pytest.approx(np.ones(2), abs=1e-6)


def test_serving_cuts_the_user_word_as_jieba_does(owned: Owned) -> None:
    """And tells of it where it says why; keywords are cut with it, too."""
    bundle = load_bundle(owned.root / "bundle")
    block = bundle.manifest.text[0]
    assert block.user_words is not None
    text = f"这里的{owned.word}真不错"
    cut = reference_tokens(block, text, jieba_with((owned.word,)))
    assert owned.word in cut
    assert owned.word not in reference_tokens(block, text)
    assert bundle.vectorisers[0].cut(text) == cut
    why = explain(Classifier(bundle), text, None)
    assert owned.word in {each.word for each in why.words}


def test_the_gate_compares_texts_of_user_words(owned: Owned) -> None:
    """Whether or not the corpus holds any."""
    lines = (owned.root / "models" / "reference" / "tokens.jsonl").read_bytes().splitlines()
    assert [owned.word] in [msgspec.json.decode(line) for line in lines]
