"""A single scikit-learn estimator by skl2onnx, within a graph that computes in float64.

Which estimators it converts rightly, and how, is known here; the gate looks at each again.
"""

from collections.abc import Mapping
from typing import Any

import onnx
from sklearn.ensemble import RandomForestClassifier

from export.onnx_graph import DOUBLE, FLOAT, ML_OPSET, OPSET, OnnxGraph


def transformed(graph: OnnxGraph, step: Any, features: str) -> str:
    """What a transformer makes of the features float64 [N,D]."""
    return graph.include(_model(step, doubles=True), features)


def class_probabilities(graph: OnnxGraph, classifier: Any, features: str) -> str:
    """Probabilities float64 [N,K] of a classifier that computes in float64."""
    model = _model(classifier, {"zipmap": False}, doubles=True)
    return graph.include(model, features, output=1)


def forest_probabilities(graph: OnnxGraph, forest: Any, features: str) -> str:
    """Probabilities [N,K] of a tree or of many: the mean of what their leaves say.

    scikit-learn compares float32 features with float64 thresholds, and so does the graph.
    """
    rounded = graph.node("Cast", [graph.node("Cast", [features], to=FLOAT)], to=DOUBLE)
    model = _model(_as_forest(forest), {"zipmap": False}, doubles=True)
    return graph.node("Cast", [graph.include(model, rounded, output=1)], to=DOUBLE)


def boosted_margins(graph: OnnxGraph, boosted: Any, features: str) -> str:
    """Margins [N,1] or [N,K] of gradient boosting, before its link."""
    model = _model(boosted, {"zipmap": False, "raw_scores": True}, doubles=False)
    raw = graph.include(model, graph.node("Cast", [features], to=FLOAT), output=1)
    raw = graph.node("Cast", [raw], to=DOUBLE)
    if len(boosted.classes_) > 2:
        return raw
    # Of two labels there are two columns, and the second is the margin.
    return graph.node("Gather", [raw, graph.places([1])], axis=1)


def _as_forest(model: Any) -> Any:
    """A RandomForestClassifier of the same trees: of the other kinds skl2onnx writes float64
    graphs that do not load.
    """
    if isinstance(model, RandomForestClassifier):
        return model
    forest = RandomForestClassifier()
    forest.estimators_ = getattr(model, "estimators_", [model])
    forest.classes_, forest.n_classes_ = model.classes_, model.n_classes_
    forest.n_features_in_, forest.n_outputs_ = model.n_features_in_, 1
    return forest


def _model(
    estimator: Any, options: Mapping[str, Any] | None = None, *, doubles: bool
) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = DoubleTensorType if doubles else FloatTensorType
    shape = [("features", kind([None, estimator.n_features_in_]))]
    model: onnx.ModelProto = convert_sklearn(
        estimator,
        initial_types=shape,
        options=None if options is None else {id(estimator): options},
        target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET},
    )
    return model
