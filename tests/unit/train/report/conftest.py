"""One models folder with a corpus and a bundle for all tests of the report."""

import pytest

from tests.unit.train.report.trained import Trained, write_trained


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Written once; tests that change it take a copy."""
    return write_trained(tmp_path_factory.mktemp("report"))
