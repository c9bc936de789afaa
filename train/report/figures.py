"""Models folder, corpus and bundles, as read, to all figures of the report."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import cast, get_args

import numpy as np

from inference.bundle import Bundle
from inference.classifier import Classifier
from train.corpus import Corpus
from train.report.contents import (
    Epoch,
    HalfFigures,
    Origin,
    Report,
    Served,
    StrategyFigures,
    Use,
)
from train.report.keywords import keywords
from train.report.measures import accuracy, shares, use_figures
from train.report.posts import as_sent, least_believed, most_wrong
from train.report.reading import Material
from train.report.speed import POSTS_MAX, measure
from train.report.suspects import believed
from train.rows import Row

_USES: tuple[Use, ...] = get_args(Use)


def report_on(material: Material, clock: Callable[[], float]) -> Report:
    """All of it; `clock` gives seconds of CPU, to time bundles by."""
    models, corpus, test = material.models, material.corpus, material.test
    labels, out_of_fold = models.labels, material.out_of_fold
    truth = test.labels[test.complete]
    return Report(
        _origin(material),
        _strategies(material),
        float(np.bincount(truth).max() / len(truth)),
        tuple(
            Epoch(int(each["epoch"]), each["loss"], each["accuracy"])
            for each in models.learning_curve
        ),
        most_wrong(test, test.answers[models.chosen], _by_id(corpus.test), labels),
        least_believed(
            out_of_fold, believed(out_of_fold, len(labels)), _by_id(corpus.train), labels
        ),
        keywords(
            {name: _texts(corpus.train, label) for label, name in enumerate(labels)},
            material.user_words,
        ),
        tuple(_served(bundle, corpus, clock) for bundle in material.bundles),
    )


def _origin(material: Material) -> Origin:
    models, corpus = material.models, material.corpus
    return Origin(
        material.folder.resolve().name,
        corpus.folder.resolve().name,
        models.corpus_sha256,
        _half(corpus.train, models.labels),
        _half(corpus.test, models.labels),
        models.labels,
        models.strategies,
        models.chosen,
        models.seed,
        cast("dict[str, object]", models.settings),
        models.versions,
        models.labels_from,
    )


def _half(rows: Sequence[Row], labels: Sequence[str]) -> HalfFigures:
    counts = Counter(row.label for row in rows)
    return HalfFigures(
        len(rows),
        sum(row.complete for row in rows),
        sum(row.image is None for row in rows),
        sum(row.text is None for row in rows),
        {name: counts[label] for label, name in enumerate(labels)},
    )


def _strategies(material: Material) -> tuple[StrategyFigures, ...]:
    """The chosen one first."""
    models = material.models
    others = [name for name in models.strategies if name != models.chosen]
    return tuple(_strategy(material, name) for name in (models.chosen, *others))


def _strategy(material: Material, name: str) -> StrategyFigures:
    models, test = material.models, material.test
    answers, rows = test.answers[name], test.complete
    compared = models.choice.compared if models.choice else ()
    sent = as_sent(answers)
    answered = np.isfinite(sent[:, 0])
    return StrategyFigures(
        name,
        next((each for each in compared if each.strategy == name), None),
        {
            use: use_figures(answers.scores[use][rows], test.labels[rows], models.labels)
            for use in _USES
        },
        accuracy(sent[answered], test.labels[answered]),
        () if answers.weights is None else shares(answers.weights[rows], models.modalities),
    )


def _served(bundle: Bundle, corpus: Corpus, clock: Callable[[], float]) -> Served:
    manifest = bundle.manifest
    files = [
        *(graph.file for graph in manifest.graphs.values()),
        *(block.vocabulary for block in manifest.text if block.vocabulary is not None),
        *(block.user_words for block in manifest.text if block.user_words is not None),
    ]
    posts = [
        (row.text, corpus.image_path(row).read_bytes())
        for row in [row for row in corpus.test if row.complete][:POSTS_MAX]
        if row.text is not None
    ]
    return Served(
        manifest.name,
        manifest.version,
        manifest.strategy,
        manifest.parity,
        {file.path: file.bytes for file in files},
        measure(Classifier(bundle), posts, clock),
    )


def _by_id(rows: Sequence[Row]) -> dict[str, Row]:
    return {row.id: row for row in rows}


def _texts(rows: Sequence[Row], label: int) -> list[str]:
    return [row.text for row in rows if row.label == label and row.text is not None]
