"""The models folder that training wrote, as values; nothing of it is ever unpickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from export.errors import ExportError
from schemas.manifest import FEATURE_VERSION, Evaluation
from schemas.models import MODELS_CONTRACT_VERSION, MODELS_FILE, REST_TYPES, Models, ReferenceRow

Weights = Mapping[str, NDArray[Any]]
Value = TypeVar("Value")

_TRAIN_AGAIN = "train again with `tuwen train`"


@dataclass(frozen=True, slots=True)
class ModelsFolder:
    """`path` and what its models.json says; the rest is read when it is asked for."""

    path: Path
    models: Models

    @property
    def brought(self) -> bool:
        """Whether its models were trained elsewhere."""
        return "brought" in self.models.settings

    @property
    def again(self) -> str:
        """What to do where it is not whole."""
        return "bring the models again" if self.brought else _TRAIN_AGAIN

    def weights(self, name: str) -> Weights:
        """The arrays of an npz file."""
        try:
            with np.load(self.path / name, allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except (OSError, ValueError) as error:
            raise self._unreadable(name, error) from error

    def estimator(self, name: str) -> Any:
        """A fitted scikit-learn estimator, of types that are listed alone."""
        from skops import io  # scikit-learn takes a second, and few folders hold one.

        file = self.path / name
        try:
            return io.load(file, trusted=list(REST_TYPES))
        except Exception as error:
            # A damaged file raises whatever its reader stumbles over.
            raise self._unreadable(name, error) from error

    def decoded(self, name: str, kind: type[Value]) -> Value:
        """A JSON file as a value."""
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise self._unreadable(name, error) from error

    def settings(self, strategy: str) -> dict[str, Any]:
        """What a strategy says of itself."""
        return self.decoded(f"fusion/{strategy}/strategy.json", dict[str, Any])

    def evaluation(self, strategy: str) -> Evaluation:
        """How good the strategy is."""
        found = self.decoded("evaluation.json", dict[str, Evaluation])
        if strategy not in found:
            raise ExportError(f"{self.path}/evaluation.json has no {strategy!r}; {_TRAIN_AGAIN}")
        return found[strategy]

    def reference_rows(self) -> list[ReferenceRow]:
        """The rows of the gate."""
        return self._lines("reference/rows.jsonl", ReferenceRow)

    def reference_tokens(self) -> list[list[str] | None]:
        """What jieba gives for each row."""
        return self._lines("reference/tokens.jsonl", list[str] | None)

    def _lines(self, name: str, kind: Any) -> list[Any]:
        try:
            return msgspec.json.Decoder(kind).decode_lines((self.path / name).read_bytes())
        except (OSError, msgspec.DecodeError, msgspec.ValidationError) as error:
            raise self._unreadable(name, error) from error

    def _unreadable(self, name: str, error: Exception) -> ExportError:
        return ExportError(f"{self.path / name} cannot be read: {error}; {self.again}")


def read(path: Path) -> ModelsFolder:
    """Open the models folder. Raises ExportError."""
    file = path / MODELS_FILE
    try:
        content = file.read_bytes()
        versions = json.loads(content)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{file} cannot be read: {error}; name the folder that `tuwen train` wrote"
        ) from error
    for name, known in (
        ("contract", MODELS_CONTRACT_VERSION),
        ("feature_version", FEATURE_VERSION),
    ):
        if not isinstance(versions, dict) or versions.get(name) != known:
            raise ExportError(f"{file}: {name} is not {known}; {_TRAIN_AGAIN}")
    try:
        return ModelsFolder(path, msgspec.json.decode(content, type=Models))
    except msgspec.ValidationError as error:
        raise ExportError(f"{file}: {error}; {_TRAIN_AGAIN}") from error
