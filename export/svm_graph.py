"""A scaled RBF SVM as Gemm, Exp, Gemm: features in, margins out.

exp(-γ‖x - s‖²) = exp(2γ x·s - γ‖s‖² - γ‖x‖²), one matrix product over all support vectors.
The scaler is scikit-learn's, and skl2onnx converts it.
"""

import numpy as np
import onnx

from export.models_folder import Weights
from export.onnx_graph import ML_OPSET, OPSET, OnnxGraph


def rbf_margins(graph: OnnxGraph, features: str, weights: Weights, gamma: float) -> str:
    """Margins [N,Km] of the features [N,D], before scaling; one column by row of coefficients."""
    scaled = standardised(graph, features, weights)
    vectors = weights["support_vectors"]
    products = graph.node(
        "Gemm",
        [
            scaled,
            graph.floats("svm.vectors", 2 * gamma * vectors),
            graph.floats("svm.norms", -gamma * np.square(vectors).sum(axis=1)),
        ],
        transB=1,
    )
    squares = graph.node("ReduceSumSquare", [scaled, graph.ints("svm.axis", [1])], keepdims=1)
    own = graph.node("Mul", [squares, graph.floats("svm.gamma", gamma)])
    kernel = graph.node("Exp", [graph.node("Sub", [products, own])])
    coefficients = graph.floats("svm.coefficients", weights["coefficients"])
    intercepts = graph.floats("svm.intercepts", weights["intercepts"])
    return graph.node("Gemm", [kernel, coefficients, intercepts], transB=1)


def standardised(graph: OnnxGraph, features: str, weights: Weights) -> str:
    """The features [N,D] by the arrays `mean` and `scale`."""
    return graph.include(_scaler(weights), features)


def _scaler(weights: Weights) -> onnx.ModelProto:
    """The StandardScaler that training fitted, converted by skl2onnx."""
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaler.mean_ = weights["mean"]
    scaler.scale_ = weights["scale"]
    scaler.var_ = np.square(scaler.scale_)
    scaler.n_features_in_ = len(scaler.mean_)
    shape = [("features", FloatTensorType([None, len(scaler.mean_)]))]
    model: onnx.ModelProto = convert_sklearn(
        scaler, initial_types=shape, target_opset={"": OPSET, "ai.onnx.ml": ML_OPSET}
    )
    return model
