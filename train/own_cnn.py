"""Somebody's own Keras model as the body of our CNN: pixels in; a vector and a feature map out.

Its classification layer is left off, for ours take its place; all else keeps the weights of the
file, and learns on from there.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

from train.errors import BroughtError, SettingError
from train.keras_file import check_activations, image_of, loaded, scale_of
from train.quiet_keras import load
from train.settings import OwnCnn, Scale

VECTOR, MAP = "vector", "map"
_CLASSIFYING: Final = frozenset({"softmax", "sigmoid"})


def described(file: Path, scale: Scale | None) -> OwnCnn:
    """What training must know of a file; `scale` may be left open where the model scales.

    Raises BroughtError.
    """
    model = loaded(file)
    image = image_of(model)
    check_activations(model)
    _before_classifying(model, labels_count=0)
    scale = scale_of(model, scale)
    own = file.resolve()
    return OwnCnn(str(own), _sha256(own), image.height, image.width, image.channels, scale)


def body(cnn: OwnCnn, labels_count: int) -> Any:
    """A new keras.Model from float32[N,H,W,C], scaled as its owner does, to `vector` [N,D] and,
    where it has any, `map` [N,h,w,C], the last feature map before it loses its places.

    Raises SettingError when the file is another than the described one.
    """
    file = Path(cnn.file)
    if _sha256(file) != cnn.sha256:
        raise SettingError(f"{file} was changed while it was trained: start again")
    _, keras = load()
    model = loaded(file)
    outputs = {VECTOR: _before_classifying(model, labels_count)}
    maps = _maps(model)
    return keras.Model(model.inputs[0], outputs | ({MAP: maps[-1]} if maps else {}), name="body")


def _before_classifying(model: Any, labels_count: int) -> Any:
    """The vector that the classification layer reads, or the output where there is none.

    A softmax or sigmoid classifies; without an activation so does a Dense of no more units than
    there are labels.
    """
    _, keras = load()
    output = model.outputs[0]
    last, taken = _giving(output)
    said = {_activation(last)}
    if isinstance(last, keras.layers.Activation | keras.layers.Softmax):
        last, taken = _giving(taken[0])
        said.add(_activation(last))
    if not isinstance(last, keras.layers.Dense):
        _check_not_classifying(last, said)
        return output
    few = said == {"linear"} and last.units <= labels_count
    return taken[0] if said & _CLASSIFYING or few else output


def _giving(tensor: Any) -> tuple[Any, list[Any]]:
    """The layer or operation that gives this tensor, and what it takes."""
    # Keras says it in no public way: `layer.output` is that of the layer's first call, which in a
    # Sequential is one of the times that it was built.
    history = tensor._keras_history  # noqa: SLF001
    node = history.operation._inbound_nodes[history.node_index]  # noqa: SLF001
    return history.operation, node.input_tensors


def _activation(layer: Any) -> str:
    """The name of a layer's activation; of a Softmax its own."""
    activation = getattr(layer, "activation", None)
    return getattr(activation, "__name__", type(layer).__name__.lower())


def _check_not_classifying(last: Any, said: set[str]) -> None:
    """Refuse a classification whose layer cannot be told from the others."""
    _, keras = load()
    inner = last
    while isinstance(inner, keras.Model):
        inner = inner.layers[-1]
        said = {_activation(inner)}
    if said & _CLASSIFYING:
        raise BroughtError(
            f"the CNN ends in {min(said & _CLASSIFYING)}, and not in a Dense layer of its own: "
            f"{last.name!r} cannot be left off. End it in Dense(…, activation=…), or in the vector "
            "before it"
        )


def _maps(model: Any) -> list[Any]:
    """What its layers give with places, behind the first that has learned something."""
    found, learned = [], False
    for tensor in _in_order(model.outputs[0]):
        layer, _ = _giving(tensor)
        weights = getattr(layer, "weights", ())
        learned = learned or (bool(weights) and type(layer).__name__ != "Normalization")
        if learned and len(tensor.shape) == 4 and None not in tensor.shape[1:]:
            found.append(tensor)
    return found


def _in_order(output: Any) -> list[Any]:
    """All tensors that lead to this one, each behind those that it is made of."""
    ordered: list[Any] = []
    seen, waiting = set(), [(output, False)]
    while waiting:
        tensor, made = waiting.pop()
        if made:
            ordered.append(tensor)
        elif id(tensor) not in seen:
            seen.add(id(tensor))
            waiting.append((tensor, True))
            waiting += [(each, False) for each in _giving(tensor)[1]]
    return ordered


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
