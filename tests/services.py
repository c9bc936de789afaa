"""What tests do about a service that this machine does not have."""

import os
from typing import NoReturn

import pytest


def missing_service(name: str, how_to_get: str) -> NoReturn:
    """Skip where somebody develops; fail in CI, which must run every test."""
    reason = f"{name} is missing: {how_to_get}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
