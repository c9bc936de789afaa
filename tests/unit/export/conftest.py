"""One small trained model for all tests of export, and a copy of it to be changed."""

import shutil
import warnings
from pathlib import Path

import pytest

from tests.small_models import Small, write_small_models


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A models folder with text, image, both strategies and a reference."""
    with warnings.catch_warnings():
        # Keras and jieba use what numpy and Python have deprecated.
        warnings.simplefilter("ignore")
        return write_small_models(tmp_path_factory.mktemp("small"))


@pytest.fixture
def models(small: Small, tmp_path: Path) -> Path:
    """A copy of the models folder."""
    return Path(shutil.copytree(small.models, tmp_path / "models"))
