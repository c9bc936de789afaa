"""A small valid bundle of text and image, written in a fraction of a second, without TensorFlow.

Its classes can be told apart by hand: 好 speaks for the first label and 坏 for the last; a bright
picture speaks for the first and a dark one for the last; of both, the sum decides.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inference.graph import Graph
from schemas.manifest import (
    CONTRACT_VERSION,
    FEATURE_VERSION,
    MANIFEST_FILE,
    Evaluation,
    FileSpec,
    GraphSpec,
    ImageInput,
    Manifest,
    Parity,
    TensorSpec,
    TextBlock,
)

LABELS: Final = ("积极", "中性", "消极")
TERMS: Final = ("好", "坏", "一般", "房间", "服务", "很")
SIDE: Final = 8
OPSET: Final = 18


def write_tiny_bundle(
    folder: Path, name: str = "tiny", version: str = "1", raises_for: str = ""
) -> Manifest:
    """Write a bundle that `inference.bundle.load` accepts into `folder`; gives its manifest.

    Its text graph fails as it runs, in ONNX Runtime itself, for texts with the term `raises_for`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _file(folder, "words.vocabulary.json", msgspec.json.encode(TERMS))
    block = TextBlock(name="words", vocabulary=vocabulary)
    graphs = {
        "text": write_graph(folder, "text.onnx", _text_model(raises_for)),
        "image": write_graph(folder, "image.onnx", _image_model()),
        "fusion": write_graph(folder, "fusion.onnx", _fusion_model()),
    }
    manifest = Manifest(
        contract=CONTRACT_VERSION,
        feature_version=FEATURE_VERSION,
        name=name,
        version=version,
        labels=LABELS,
        modalities=("text", "image"),
        strategy="soft-voting",
        graphs=graphs,
        text=(block,),
        image=ImageInput(height=SIDE, width=SIDE),
        evaluation=_evaluation(),
        parity=Parity((), 0, 0, 0, 0, 0),
        settings={},
        versions={},
        seed=0,
        corpus_sha256="",
    )
    write_manifest(folder, manifest)
    return manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the bundle's manifest."""
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))


def write_graph(folder: Path, path: str, model: onnx.ModelProto) -> GraphSpec:
    """Write one graph, and say of it what a manifest must."""
    content = model.SerializeToString()
    graph = Graph(content)
    opsets = {opset.domain: opset.version for opset in model.opset_import}
    file = _file(folder, path, content)
    return GraphSpec(file, opsets[""], tuple(sorted(opsets)), graph.inputs, graph.outputs)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, TensorSpec],
    outputs: Mapping[str, TensorSpec],
    weights: Mapping[str, Any],
    domains: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """A model of these nodes and weights."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [_value(name, spec) for name, spec in inputs.items()],
        [_value(name, spec) for name, spec in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), key) for key, value in weights.items()],
    )
    opsets = {"": OPSET, **(domains or {})}
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid(name, number) for name, number in opsets.items()],
        ir_version=9,
    )


_TYPES: Final = {
    "tensor(float)": TensorProto.FLOAT,
    "tensor(int64)": TensorProto.INT64,
    "tensor(uint8)": TensorProto.UINT8,
    "tensor(bool)": TensorProto.BOOL,
}


def _value(name: str, spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, _TYPES[spec.dtype], list(spec.shape))


def _file(folder: Path, path: str, content: bytes) -> FileSpec:
    (folder / path).write_bytes(content)
    return FileSpec(path, hashlib.sha256(content).hexdigest(), len(content))


def _text_model(raises_for: str) -> onnx.ModelProto:
    """The sum over terms of count times weight: `text.scores` [N,K]."""
    rows = np.arange(len(TERMS) + 1)
    if raises_for:
        rows[TERMS.index(raises_for)] = len(rows)  # there is no such row
    weights = np.zeros((len(TERMS) + 1, len(LABELS)), np.float32)
    weights[0, 0] = weights[1, 2] = weights[2, 1] = 4.0
    nodes = [
        helper.make_node("Gather", ["rows", "words.ids"], ["places"]),
        helper.make_node("Gather", ["weights", "places"], ["gathered"]),
        helper.make_node("Unsqueeze", ["words.counts", "one"], ["counts"]),
        helper.make_node("MatMul", ["counts", "gathered"], ["summed"]),
        helper.make_node("Squeeze", ["summed", "one"], ["text.scores"]),
    ]
    inputs = {
        "words.ids": TensorSpec("tensor(int64)", ("N", "T")),
        "words.counts": TensorSpec("tensor(float)", ("N", "T")),
    }
    outputs = {"text.scores": TensorSpec("tensor(float)", ("N", len(LABELS)))}
    constants = {"rows": rows, "weights": weights, "one": np.array([1], np.int64)}
    return model_of(nodes, inputs, outputs, constants)


def _image_model() -> onnx.ModelProto:
    """The mean brightness, 0 to 1, times a weight by label: `image.scores` [N,K]."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Gemm", ["column", "slope", "offset"], ["image.scores"]),
    ]
    weights = {
        "axes": np.array([1, 2, 3], np.int64),
        "one": np.array([1], np.int64),
        "slope": np.array([[6 / 255, 0, -6 / 255]], np.float32),
        "offset": np.array([-3, 0, 3], np.float32),
    }
    inputs = {"pixels": TensorSpec("tensor(uint8)", ("N", SIDE, SIDE, 3))}
    outputs = {"image.scores": TensorSpec("tensor(float)", ("N", len(LABELS)))}
    return model_of(nodes, inputs, outputs, weights)


def _fusion_model() -> onnx.ModelProto:
    """Softmax of the sum of what is present."""
    nodes = [
        helper.make_node("Split", ["present", "halves"], ["text.here", "image.here"], axis=1),
        helper.make_node("Where", ["text.here", "text.scores", "zero"], ["text.kept"]),
        helper.make_node("Where", ["image.here", "image.scores", "zero"], ["image.kept"]),
        helper.make_node("Add", ["text.kept", "image.kept"], ["summed"]),
        helper.make_node("Softmax", ["summed"], ["scores"], axis=1),
    ]
    spec = TensorSpec("tensor(float)", ("N", len(LABELS)))
    inputs = {
        "text.scores": spec,
        "image.scores": spec,
        "present": TensorSpec("tensor(bool)", ("N", 2)),
    }
    weights = {"halves": np.array([1, 1], np.int64), "zero": np.float32(0)}
    return model_of(nodes, inputs, {"scores": spec}, weights)


def _evaluation() -> Evaluation:
    parts = {"text": 0.5, "image": 0.5, "fused": 0.5}
    return Evaluation(
        rows=0, accuracy=parts, calibration_error=dict.fromkeys(parts, 0.0), baseline=0.5
    )
