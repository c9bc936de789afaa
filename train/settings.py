"""What can be chosen in training, and what is chosen unless said otherwise."""

from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from train.errors import SettingError

NamedCnn = Literal["compact", "brief"]
Scale = Literal["0-255", "0-1", "-1..1"]
ImageScoring = Literal["held-out", "out-of-fold"]
ClassWeight = Literal["balanced", "none"]

SMALL_CORPUS_IMAGES: Final = 4500
EPOCHS_SMALL: Final = 6
EPOCHS: Final = 24
HELD_OUT_FOLDS: Final = 5


class OwnCnn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody's own Keras model: what `train.own_cnn.described` found in its file."""

    file: str
    """Absolute, for the processes that train side by side."""
    sha256: str
    height: int
    width: int
    channels: Literal[1, 3]
    scale: Scale
    """What it is fed."""


Cnn = NamedCnn | OwnCnn


class TrainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one training; equal settings, corpus and versions give equal models.

    Raises SettingError for an impossible one.
    """

    strategies: tuple[str, ...] = ("all",)
    """The fusion strategies to train, as `train/fusion/` names them, or all. Of several one is
    chosen by cross-validation; one alone is exported as it is, and takes minutes less."""
    cnn: Cnn = "compact"
    """`compact` is better and smaller; `brief` is Conv 32, MaxPool, Dense 64, one head. Or a model
    of your own, which goes on learning from the weights in its file, with our heads."""
    epochs: int | None = None
    """Passes over the training images; None takes 6 for up to 4,500 images, else 24."""
    image_rate: float | None = None
    """The highest learning rate of the CNN; None takes .003 for `compact`, .0003 for `brief`, .001
    for one of your own. Lower it when runs collapse, and give more epochs then."""
    image_scoring: ImageScoring | None = None
    """Where fusion gets scores of images from that the CNN never saw. `held-out`: a fifth of the
    images is kept from the CNN, one training in all. `out-of-fold`: a CNN per fold scores the
    fold that it never saw, and the shipped CNN learns from all; it takes `folds` times as long,
    and fusion learns from every row. None takes `held-out` for up to 4,500 images."""
    folds: int = 3
    """Parts of `out-of-fold`. More are nearer to the shipped CNN, and take longer."""
    class_weight: ClassWeight = "none"
    """`balanced` lets all rows of a label count as much as those of any other: more of a rare label
    is found, and more is taken for it in error; scores are those of a stream in which each label is
    equally frequent. `none` lets every row count alike."""
    text_folds: int = 5
    """The same for the SVM, which is fitted in a second."""
    seed: int = 7
    """Of every random choice."""
    batch_images: int = 32
    """Images per step of the CNN."""
    text_words_ngrams: tuple[int, int] = (1, 2)
    """Lengths of word n-grams; (0, 0) leaves words out."""
    text_characters_ngrams: tuple[int, int] = (0, 0)
    """Lengths of character n-grams, as a second vectoriser; (0, 0) leaves them out."""
    text_user_words: tuple[str, ...] = ()
    """Words that jieba's list lacks, or knows too rare: lines of its user dictionary, `word` or
    `word frequency`. Without a frequency a word gets the least that keeps it whole."""
    text_posts_min: int = 2
    """A term in fewer texts than this is not in the vocabulary."""
    text_costs: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0)
    """The SVM's C is the best of these by cross-validation."""
    embedding_width: int = 96
    """Dimensions of the text embedding that `concatenation` uses."""
    reference_rows_max: int = 10_000
    """Rows of export's gate: test rows, up to half of them; texts of training rows with pictures
    of test rows; and odd ones, made by code, which are there in any case."""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _need(len(self.strategies) > 0, "strategies", "name at least one")
        _need(len(set(self.strategies)) == len(self.strategies), "strategies", "name each once")
        _need(self.epochs is None or self.epochs >= 1, "epochs", "at least 1")
        _need(self.image_rate is None or self.image_rate > 0, "image_rate", "above 0")
        _need(self.folds >= 2, "folds", "at least 2")
        _need(self.text_folds >= 2, "text_folds", "at least 2")
        _need(0 <= self.seed < 2**31, "seed", "0 to 2147483647")
        _need(self.batch_images >= 2, "batch_images", "at least 2")
        _need(self.text_posts_min >= 1, "text_posts_min", "at least 1")
        _need(min(self.text_costs, default=0) > 0, "text_costs", "positive numbers")
        _need(self.embedding_width >= 1, "embedding_width", "at least 1")
        _need(self.reference_rows_max >= 1, "reference_rows_max", "at least 1")
        blocks = (self.text_words_ngrams, self.text_characters_ngrams)
        for name, ngrams in zip(("words", "characters"), blocks, strict=True):
            legal = ngrams == (0, 0) or 1 <= ngrams[0] <= ngrams[1] <= 5
            _need(legal, f"text_{name}_ngrams", "two lengths from 1 to 5, or 0 0")
        _need(blocks != ((0, 0), (0, 0)), "text_words_ngrams", "words or characters are needed")
        cut = not self.text_user_words or self.text_words_ngrams != (0, 0)
        _need(cut, "text_user_words", "only words are cut: text_words_ngrams must not be 0 0")

    @property
    def image_folds(self) -> int:
        """Into how many folds images go; of `held-out` the first one is kept from the CNN."""
        return self.folds if self.image_scoring == "out-of-fold" else HELD_OUT_FOLDS

    @property
    def recorded(self) -> dict[str, Any]:
        """What models.json and the manifest say of them: of the user words how many there are, of
        a CNN's file its name and content, and not where it lay.
        """
        said: dict[str, Any] = msgspec.to_builtins(self)
        said["text_user_words"] = len(self.text_user_words)
        if isinstance(self.cnn, OwnCnn):
            said["cnn"] = Path(self.cnn.file).name
            said |= {"cnn_sha256": self.cnn.sha256, "cnn_scale": self.cnn.scale}
        return said

    def resolved(self, images: int) -> "TrainSettings":
        """The same with nothing left to the number of images."""
        small = images <= SMALL_CORPUS_IMAGES
        scoring = self.image_scoring or ("held-out" if small else "out-of-fold")
        epochs = self.epochs_for(images)
        return msgspec.structs.replace(self, image_scoring=scoring, epochs=epochs)

    def epochs_for(self, images: int) -> int:
        """Passes over the images, as set or by their number."""
        if self.epochs is not None:
            return self.epochs
        return EPOCHS_SMALL if images <= SMALL_CORPUS_IMAGES else EPOCHS


def _need(holds: bool, name: str, what: str) -> None:  # noqa: FBT001 - it is the condition itself.
    if not holds:
        raise SettingError(f"setting {name}: {what}")
