"""Shared fixtures: the OpenML cache of this machine, where there is one."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def openml_cache() -> Path:
    """The cache directory that OPENML_CACHE_DIR names; the tests read it and write nothing into it."""
    directory = os.environ.get("OPENML_CACHE_DIR")
    if not directory:
        pytest.skip("OPENML_CACHE_DIR is not set: give a directory that holds org/openml/www")
    if not (Path(directory) / "org" / "openml" / "www").is_dir():
        pytest.skip(f"OPENML_CACHE_DIR is {directory!r}, which holds no org/openml/www")
    return Path(directory)
