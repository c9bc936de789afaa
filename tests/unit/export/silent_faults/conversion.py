"""A fitted pipeline through the plain converter, and through what this project makes of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import StringTensorType

from export.dense_text_graph import dense_text_graph
from export.models_folder import ModelsFolder
from export.text_graph import text_graph
from features.text import TextVectoriser
from inference.graph import Graph
from schemas.manifest import FEATURE_VERSION
from schemas.models import MODELS_CONTRACT_VERSION, Models
from tests.unit.train.brought.pipelines import LABELS
from train.brought.text import BroughtText, read_text
from train.brought.vectoriser import Tokenizer
from train.unseen import Floats

QUIET = ort.SessionOptions()
QUIET.log_severity_level = 4


def plain_graph(pipeline: Any, options: Mapping[Any, Any] | None = None) -> onnx.ModelProto:
    """What skl2onnx makes of it, strings in."""
    shape = [("text", StringTensorType([None, 1]))]
    targets = {"": 18, "ai.onnx.ml": 3}
    model: onnx.ModelProto = convert_sklearn(
        pipeline, initial_types=shape, options=options, target_opset=targets
    )
    return model


def plain_answers(
    pipeline: Any, texts: Sequence[str], options: Mapping[Any, Any] | None = None
) -> list[NDArray[Any]]:
    """The labels and the scores of that graph."""
    model = plain_graph(pipeline, options).SerializeToString()
    session = ort.InferenceSession(model, QUIET, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(None, {"text": np.array(texts)[:, None]})
    return found


def served(
    pipeline: Any,
    texts: Sequence[str],
    folder: Path,
    tokenizer: Tokenizer | None = None,
    labels: Sequence[str] = LABELS,
) -> tuple[BroughtText, Floats]:
    """What was read of it, and `text.scores` of our graph, from raw texts."""
    model = read_text(pipeline, tokenizer, labels)
    model.save(folder)
    models = _models(model, tuple(labels))
    graph = Graph(_graph(ModelsFolder(folder, models)))
    name = model.block.name
    ids, counts = TextVectoriser(model.block, model.vectorised.terms).ids_and_counts(texts)
    found = graph.run({f"{name}.ids": ids, f"{name}.counts": counts}, ["text.scores"])
    return model, found["text.scores"].astype(np.float64)


def _graph(folder: ModelsFolder) -> bytes:
    weights = folder.weights("model.npz")
    if folder.models.rest is None:
        return text_graph(folder.models, weights, ["text.scores"])
    return dense_text_graph(
        folder.models, weights, folder.estimator("rest.skops"), folder.models.rest
    )


def _models(model: BroughtText, labels: tuple[str, ...]) -> Models:
    weighting = model.vectorised.weighting
    return Models(
        contract=MODELS_CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        labels=labels,
        modalities=("text",),
        strategies=(),
        chosen="",
        text=(model.block,),
        sublinear_tf=weighting.sublinear_tf,
        binary_tf=weighting.binary_tf,
        text_norm=weighting.norm,
        image=None,
        artefacts=(),
        settings={},
        versions={},
        seed=0,
        corpus_path="",
        corpus_sha256="",
        folds=0,
        rest=model.rest,
    )
