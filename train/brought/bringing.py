"""Brought models, and a corpus they were not fitted on, to a models folder that export takes.

Fusion and calibration learn from the corpus's training half, and the test half judges them.
Without a corpus the modalities are averaged as they are, which is no calibration.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.manifest import FEATURE_VERSION, Evaluation
from schemas.models import (
    MODELS_CONTRACT_VERSION,
    MODELS_FILE,
    Artefact,
    Choice,
    Models,
    ReferenceRow,
)
from schemas.progress import Progress
from train.arrays import save_arrays
from train.brought.cnn import CnnOptions, read_cnn
from train.brought.loading import load_pipeline
from train.brought.scoring import Brought, Scored, score
from train.brought.text import classes_of, read_text
from train.brought.vectoriser import Tokenizer
from train.calibration import Calibration
from train.choice import allowed, choose, compare
from train.corpus import Corpus, load
from train.errors import BroughtError, CorpusError, SettingError
from train.evaluation import answer, evaluate
from train.fusion.registry import ALL, names, strategies, strategy
from train.fusion.seam import (
    FittedFusion,
    FusionStrategy,
    TrainingInputs,
    by_pattern,
    score_names,
)
from train.fusion.soft_voting import FittedSoftVoting
from train.fusion.voters import Voters
from train.groups import fold_numbers, rows_apart
from train.reference import write_lines
from train.reference_features import feature_arrays
from train.reference_rows import ROWS, reference_rows
from train.reference_terms import reference_tokens
from train.unseen import Fitted, Floats, unseen_scores

FOLDS: Final = 5
_ROWS_BY_LABEL_MIN: Final = 2 * FOLDS
_SOFT_VOTING: Final = "soft-voting"


class BringSettings(msgspec.Struct, frozen=True):
    """What is brought, and what the files do not say of themselves."""

    cnn: Path | None = None
    text_pipeline: str | None = None
    tokenizer: Tokenizer | None = None
    cnn_options: CnnOptions = CnnOptions()
    strategies: tuple[str, ...] = (ALL,)
    seed: int = 7
    reference_rows_max: int = ROWS


@dataclass(frozen=True, slots=True)
class Fused:
    """What was fitted on top, how it was chosen, and how good it is."""

    fusions: Mapping[str, FittedFusion]
    chosen: str
    choice: Choice | None
    evaluations: Mapping[str, Evaluation]
    fitted_rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The models that were brought, and what their owner's code says of the reference rows."""

    brought: Brought
    scored: Scored
    calibrated: bool


def bring(settings: BringSettings, corpus: Path | None, out: Path, progress: Progress) -> Summary:
    """Write the models folder `out`, which exists and is empty.

    Raises:
        BroughtError: a model cannot be served as it is; the text says what of it.
        CorpusError, SettingError: as in training.
    """
    held_out = None if corpus is None else load(corpus)
    brought = _read(settings, held_out)
    (out / "reference" / "images").mkdir(parents=True)
    fused = (
        _averaged(brought) if held_out is None else _fitted(brought, held_out, settings, progress)
    )
    rows = _reference_rows(brought, held_out, settings, out)
    scored = score(brought, rows, held_out, out / "reference" / "images", progress)
    holds = np.flatnonzero(scored.present.any(axis=1))
    rows, scored = [rows[row] for row in holds], scored.chosen(holds)
    _write_reference(out / "reference", brought, rows, scored, fused)
    _write_models(out, brought, held_out, fused, settings)
    return Summary(brought, scored, held_out is not None)


def _read(settings: BringSettings, corpus: Corpus | None) -> Brought:
    if settings.cnn is None and settings.text_pipeline is None:
        raise BroughtError("nothing was brought: name --cnn, --text-pipeline or both")
    pipeline = None if settings.text_pipeline is None else load_pipeline(settings.text_pipeline)
    if corpus is not None:
        labels = corpus.labels
    elif pipeline is not None:
        labels = classes_of(pipeline)
    elif settings.cnn_options.labels is not None:
        labels = settings.cnn_options.labels
    else:
        raise BroughtError("nobody names the labels: say --cnn-labels, in the order of the columns")
    if corpus is None and pipeline is not None and settings.cnn and not settings.cnn_options.labels:
        raise BroughtError(
            "without a corpus nothing shows what the CNN's columns stand for: say "
            "--cnn-labels, in the order of the columns"
        )
    text = None if pipeline is None else read_text(pipeline, settings.tokenizer, labels)
    image = None if settings.cnn is None else read_cnn(settings.cnn, settings.cnn_options, labels)
    return Brought(labels, text, image)


def _averaged(brought: Brought) -> Fused:
    """Soft voting of equal votes on the scores as they are."""
    count, k = len(brought.models), len(brought.labels)
    same = Calibration(np.eye(k), np.zeros(k))
    placed = {pattern: (slice(0, k), same) for pattern in range(1, 1 << count)}
    voters = Voters({name: model.uncalibrated for name, model in brought.models.items()})
    fusion = FittedSoftVoting(voters, np.full(count, 1 / count), by_pattern(count, k, placed))
    evaluation = Evaluation(0, {}, {}, 0.0)
    return Fused({_SOFT_VOTING: fusion}, _SOFT_VOTING, None, {_SOFT_VOTING: evaluation}, ())


def _fitted(brought: Brought, corpus: Corpus, settings: BringSettings, progress: Progress) -> Fused:
    """Fusion learns from the training half, and the test half judges it."""
    named = allowed(settings.strategies, corpus.labels_from)
    chosen = _strategies(brought, msgspec.structs.replace(settings, strategies=named))
    training = _training(brought, corpus, settings, progress)
    fusions = {each.name: each.fit(training) for each in chosen}
    choice = None
    if len(chosen) > 1:
        judged = compare(chosen, dict.fromkeys(fusions, training), progress)
        costs = {name: each.multiply_adds(training.values) for name, each in fusions.items()}
        choice = choose(judged, costs)
    test = score(brought, corpus.test, corpus, corpus.folder, progress)
    labels = np.asarray([row.label for row in corpus.test], np.int64)
    uses: dict[str, tuple[int, ...]] = {
        name: (column,) for column, name in enumerate(brought.modalities)
    }
    if len(uses) > 1:
        uses["fused"] = tuple(range(len(uses)))
    evaluations = {
        name: evaluate(answer(each, test.scores, test.present, uses), labels, test.present)
        for name, each in fusions.items()
    }
    name = choice.chosen if choice else chosen[0].name
    return Fused(fusions, name, choice, evaluations, training.ids)


def _strategies(brought: Brought, settings: BringSettings) -> Sequence[FusionStrategy]:
    """Those that read nothing but scores; of one modality all say the same."""
    own = set(score_names(brought.modalities))
    able = [name for name in names() if set(strategy(name).needs(brought.modalities)) <= own]
    if len(brought.models) == 1:
        able = [_SOFT_VOTING]
    wanted = able if ALL in settings.strategies else settings.strategies
    unable = [each.name for each in strategies(wanted) if each.name not in able]
    if unable:
        raise SettingError(
            f"strategy {unable[0]!r} reads more than scores, or is not for what was brought: there "
            f"are {', '.join(able)}"
        )
    return strategies(wanted)


def _training(
    brought: Brought, corpus: Corpus, settings: BringSettings, progress: Progress
) -> TrainingInputs:
    """The training half as fusion learns from it, without rows that the test half shares."""
    keys = [corpus.content_keys(row) for row in corpus.train]
    apart = rows_apart(keys, [corpus.content_keys(row) for row in corpus.test])
    rows = [row for row, kept in zip(corpus.train, apart, strict=True) if kept]
    scored = score(brought, rows, corpus, corpus.folder, progress)
    kept = np.flatnonzero(scored.present.any(axis=1))
    rows, scored = [rows[row] for row in kept], scored.chosen(kept)
    labels = np.asarray([row.label for row in rows], np.int64)
    for label, name in enumerate(corpus.labels):
        complete = int((scored.present.all(axis=1) & (labels == label)).sum())
        if complete < _ROWS_BY_LABEL_MIN:
            raise CorpusError(
                f"label {name!r} has {complete} training rows that all brought models can read, "
                f"and {_ROWS_BY_LABEL_MIN} are the least"
            )
    ids = tuple(row.id for row in rows)
    # That the models were not fitted on these rows is what their owner declares.
    declared: Fitted[None] = Fitted("brought models", None, frozenset())
    inputs = {
        name: unseen_scores(declared, ids, partial(_found, values))
        for name, values in scored.scores.items()
    }
    keys = [corpus.content_keys(row) for row in rows]
    folds = fold_numbers(keys, labels.tolist(), FOLDS, settings.seed)
    return TrainingInputs(
        inputs,
        labels,
        len(brought.labels),
        scored.present,
        folds,
        settings.seed,
        brought.modalities,
    )


def _found(values: Floats, model: None) -> Floats:
    del model  # its scores are known already.
    return values


def _reference_rows(
    brought: Brought, corpus: Corpus | None, settings: BringSettings, out: Path
) -> list[ReferenceRow]:
    """The gate's rows; texts are the corpus's, or else made of the pipeline's own terms.

    A CNN alone has no use for texts, and is judged by the test half's pictures and odd ones.
    """
    images = out / "reference" / "images"
    test = () if corpus is None else corpus.test
    if brought.text is None:
        rows = reference_rows(test, (), 2 * len(test), images)
        return [row for row in rows if row.image is not None]
    texts = [row.text for row in corpus.train if row.text is not None] if corpus else ()
    return reference_rows(
        test, texts or brought.text.made_of_terms(), settings.reference_rows_max, images
    )


def _write_reference(
    folder: Path, brought: Brought, rows: Sequence[ReferenceRow], scored: Scored, fused: Fused
) -> None:
    write_lines(folder / "rows.jsonl", rows)
    write_lines(folder / "tokens.jsonl", [_tokens(brought, row) for row in rows])
    if brought.text is not None:
        there = scored.present[:, 0]
        texts = [row.text or "" for row, has in zip(rows, there, strict=True) if has]
        counts = {brought.text.block.name: brought.text.counts(texts)}
        save_arrays(folder / "features.npz", feature_arrays(counts, there))
    arrays: dict[str, NDArray[Any]] = {**scored.scores, "present": scored.present}
    for name, fusion in fused.fusions.items():
        arrays[f"{name}.scores"] = fusion.predict(scored.scores, scored.present)
        beside = fusion.beside(scored.scores, scored.present)
        arrays |= {f"{name}.{what}": values for what, values in beside.items()}
    save_arrays(folder / "scores.npz", arrays)


def _tokens(brought: Brought, row: ReferenceRow) -> list[str] | None:
    """What jieba gives, where the pipeline is one of words."""
    if brought.text is None or brought.text.block.analyzer != "words" or row.text is None:
        return None
    return reference_tokens(brought.text.block, row.text)


def _write_models(
    out: Path, brought: Brought, corpus: Corpus | None, fused: Fused, settings: BringSettings
) -> None:
    for modality, model in brought.models.items():
        (out / modality).mkdir()
        model.save(out / modality)
    for name, fusion in fused.fusions.items():
        (out / "fusion" / name).mkdir(parents=True)
        fusion.save(out / "fusion" / name)
    weighting = None if brought.text is None else brought.text.vectorised.weighting
    artefacts = [Artefact(name, fused.fitted_rows) for name in fused.fusions]
    models = Models(
        contract=MODELS_CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        labels=brought.labels,
        modalities=brought.modalities,
        strategies=tuple(fused.fusions),
        chosen=fused.chosen,
        text=() if brought.text is None else (brought.text.block,),
        sublinear_tf=weighting is not None and weighting.sublinear_tf,
        binary_tf=weighting is not None and weighting.binary_tf,
        text_norm="l2" if weighting is None else weighting.norm,
        image=None if brought.image is None else brought.image.image,
        artefacts=tuple(artefacts),
        settings=_said(brought, settings) | {"calibrated": corpus is not None},
        versions={},
        seed=settings.seed,
        corpus_path=str((corpus.folder if corpus else out / "reference" / "images").resolve()),
        corpus_sha256="" if corpus is None else corpus.sha256,
        folds=0 if corpus is None else FOLDS,
        choice=fused.choice,
        labels_from=None if corpus is None else corpus.labels_from,
        rest=None if brought.text is None else brought.text.rest,
    )
    (out / MODELS_FILE).write_bytes(msgspec.json.encode(models))
    (out / "evaluation.json").write_bytes(msgspec.json.encode(dict(fused.evaluations)))


def _said(brought: Brought, settings: BringSettings) -> dict[str, Any]:
    """What the manifest says of where the models came from; names of files, not of folders."""
    said: dict[str, Any] = {"brought": list(brought.modalities)}
    if settings.text_pipeline is not None:
        said |= {
            "text_pipeline": Path(settings.text_pipeline).name,
            "tokenizer": settings.tokenizer,
        }
    if brought.image is not None and settings.cnn is not None:
        options = brought.image.options
        said |= {"cnn": settings.cnn.name, "cnn_output": brought.image.output}
        said |= {"cnn_scale": options.scale, "cnn_colours": options.colours}
    return said
