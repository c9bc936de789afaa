"""A corpus and lexicons to a labelled corpus, and the figures on what they say."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from schemas.manifest import LabelsFrom, LexiconUsed
from schemas.progress import Progress
from train.errors import CorpusError, SettingError
from train.labelling.figures import (
    LexiconFigures,
    PairFigures,
    Said,
    combine,
    lexicon_figures,
    pair_figures,
)
from train.labelling.lexicon import Lexicon, modifiers, modifiers_sha256
from train.labelling.names import label_names
from train.labelling.posts import SourcePost, people_names, read_posts
from train.labelling.reader import Reader
from train.labelling.rule import Polarity, RuleSettings
from train.labelling.writing import NamedPost, check_new, write_corpus
from train.rows import HALVES, Half

LabelsBy = Literal["people", "lexicons"]

_TEXTS_PER_STEP = 500
_TOGETHER = "together"


class LabelSettings(msgspec.Struct, frozen=True):
    """How to read a text, what the labels are called, and whose label a test post gets."""

    rule: RuleSettings = RuleSettings()
    positive: str | None = None
    negative: str | None = None
    neutral: str | None = None
    """None gives no text this label."""
    test_labels: LabelsBy | None = None
    """None: people's, where the test half has any."""

    @property
    def asked(self) -> dict[Polarity, str | None]:
        """The names that are asked for, by label."""
        return {
            Polarity.POSITIVE: self.positive,
            Polarity.NEUTRAL: self.neutral,
            Polarity.NEGATIVE: self.negative,
        }


class WrittenHalf(msgspec.Struct, frozen=True):
    """A half of the new corpus: whose labels it has, how many rows, and how many had to go."""

    labels_by: LabelsBy
    rows: int
    left_out: int
    labels: dict[str, int]


class LabellingReport(msgspec.Struct, frozen=True):
    """What came out. `together` are all lexicons by agreement."""

    lexicons: tuple[LexiconFigures, ...]
    together: LexiconFigures
    pairs: tuple[PairFigures, ...]
    halves: dict[Half, WrittenHalf]


@dataclass(frozen=True, slots=True)
class _Said:
    """What each lexicon says of each text, and what they agree on; `names` are the labels'."""

    texts: tuple[SourcePost, ...]
    names: dict[Polarity, str]
    by_lexicon: dict[str, Said]
    together: Said

    def figures(self, name: str, said: Said) -> LexiconFigures:
        """Of one lexicon, or of all together."""
        return lexicon_figures(name, said, self.texts, self.names)


def label(
    corpus: Path,
    lexicons: Sequence[Lexicon],
    settings: LabelSettings,
    out: Path,
    progress: Progress,
) -> LabellingReport:
    """Write the corpus `out` of the rows that got a label.

    The training half gets the labels of the lexicons; the test half keeps people's where it has
    any, so that a model's accuracy on it is real.

    Raises:
        FileExistsError: `out` is there.
        CorpusError: the corpus cannot be read, or too little of it got a label to learn from.
        SettingError: lexicons share a name, or labels cannot be named.
    """
    check_new(out)
    _check_lexicons(lexicons)
    posts = read_posts(corpus)
    names = label_names(people_names(posts), settings.asked)
    rule = msgspec.structs.replace(settings.rule, neutral=Polarity.NEUTRAL in names)
    said = _ask(corpus, posts, lexicons, names, rule, progress)
    figures = tuple(said.figures(name, each) for name, each in said.by_lexicon.items())
    together = said.figures(_TOGETHER, said.together)
    by = _labels_by(posts, settings)
    rows, labels = tuple(_named(posts, said, by)), tuple(names.values())
    _check_labels(rows, labels)
    origin = _origin(lexicons, figures, together, rule, by)
    write_corpus(corpus, out, rows, labels, origin, progress)
    pairs = tuple(pair_figures(said.by_lexicon))
    return LabellingReport(figures, together, pairs, _halves(posts, rows, by, labels))


def _check_lexicons(lexicons: Sequence[Lexicon]) -> None:
    twice = [name for name, n in Counter(each.name for each in lexicons).items() if n > 1]
    if twice:
        raise SettingError(f"two lexicons are named {twice[0]!r}: rename one of the files")


def _ask(
    corpus: Path,
    posts: Sequence[SourcePost],
    lexicons: Sequence[Lexicon],
    names: dict[Polarity, str],
    rule: RuleSettings,
    progress: Progress,
) -> _Said:
    """Every lexicon on every text."""
    texts = tuple(post for post in posts if post.text is not None)
    if not texts:
        raise CorpusError(f"{corpus} has no text: lexicons label texts")
    by_lexicon: dict[str, Said] = {}
    changing = modifiers()
    for lexicon in lexicons:
        reader, step = Reader(lexicon, changing, rule), f"reading by {lexicon.name}"
        found = []
        for number, post in enumerate(texts, start=1):
            found.append(reader.label(post.text or ""))
            if number % _TEXTS_PER_STEP == 0 or number == len(texts):
                progress(step, number, len(texts))
        by_lexicon[lexicon.name] = tuple(found)
    together = tuple(combine(each) for each in zip(*by_lexicon.values(), strict=True))
    return _Said(texts, names, by_lexicon, together)


def _labels_by(posts: Sequence[SourcePost], settings: LabelSettings) -> dict[Half, LabelsBy]:
    """Whose labels each half gets. Raises SettingError for people's where there are none."""
    labelled = any(post.half == "test" and post.label is not None for post in posts)
    if settings.test_labels == "people" and not labelled:
        raise SettingError("--test-labels people: no row of test.jsonl has a label of people")
    default: LabelsBy = "people" if labelled else "lexicons"
    return {"train": "lexicons", "test": settings.test_labels or default}


def _named(
    posts: Sequence[SourcePost], said: _Said, by: dict[Half, LabelsBy]
) -> Iterator[NamedPost]:
    """The posts that get a label, each with it."""
    agreed = {
        post.id: said.names[each]
        for post, each in zip(said.texts, said.together, strict=True)
        if each is not None
    }
    for post in posts:
        found = post.label if by[post.half] == "people" else agreed.get(post.id)
        if found is not None:
            yield NamedPost(post, found)


def _check_labels(rows: Sequence[NamedPost], labels: Sequence[str]) -> None:
    """Raises CorpusError where a half could not be used."""
    found = {half: {row.label for row in rows if row.post.half == half} for half in HALVES}
    for label_name in labels:
        if label_name not in found["train"]:
            raise CorpusError(
                f"no row of train.jsonl got the label {label_name!r}: name a lexicon with more "
                "words of the posts' own, or lower --lean-min"
            )
    if not found["test"]:
        raise CorpusError("no row of test.jsonl got a label: name a lexicon with more words")
    unknown = sorted(found["test"] - set(labels))
    if unknown:
        raise CorpusError(
            f"people gave test rows the label {unknown[0]!r}, and lexicons are not asked for it: "
            f"add --neutral {unknown[0]} if it is that, or --test-labels lexicons"
        )


def _origin(
    lexicons: Sequence[Lexicon],
    figures: Sequence[LexiconFigures],
    together: LexiconFigures,
    rule: RuleSettings,
    by: dict[Half, LabelsBy],
) -> LabelsFrom:
    used = tuple(
        LexiconUsed(each.name, each.sha256, len(each.polarities), found.coverage)
        for each, found in zip(lexicons, figures, strict=True)
    )
    told = msgspec.to_builtins(rule) | {"modifiers_sha256": modifiers_sha256()}
    halves = tuple(half for half in HALVES if by[half] == "lexicons")
    return LabelsFrom(used, told, halves, together.coverage)


def _halves(
    posts: Sequence[SourcePost],
    rows: Sequence[NamedPost],
    by: dict[Half, LabelsBy],
    labels: Sequence[str],
) -> dict[Half, WrittenHalf]:
    halves: dict[Half, WrittenHalf] = {}
    for half in HALVES:
        counts = Counter(row.label for row in rows if row.post.half == half)
        left_out = sum(post.half == half for post in posts) - counts.total()
        by_label = {name: counts[name] for name in labels}
        halves[half] = WrittenHalf(by[half], counts.total(), left_out, by_label)
    return halves
