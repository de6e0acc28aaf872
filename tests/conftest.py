"""Shared fixtures: the OpenML cache of this machine, where there is one. Before all tests the training is compiled, once.

Every test computes on one thread, and so do its children, as long as it asks for no more: parallelism is over tests.
"""

import os
import subprocess
import sys
from pathlib import Path

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import pytest
from hypothesis import settings

from pipeline.sandbox import is_compiled

settings.register_profile("any_machine", deadline=None)  # how long an example takes says nothing where other tests run beside it
settings.register_profile("thorough", deadline=None, max_examples=200)
settings.load_profile("any_machine")


def pytest_configure(config):
    """Workers that start on a new machine would all compile at the same time, and short runs would find no time left to train."""
    if not hasattr(config, "workerinput") and not is_compiled():
        subprocess.run([sys.executable, "-c", "import pipeline.kernels.ready"], cwd=Path(__file__).parents[1], check=True)


@pytest.fixture
def openml_cache() -> Path:
    """The cache directory that OPENML_CACHE_DIR names; the tests read it and write nothing into it."""
    directory = os.environ.get("OPENML_CACHE_DIR")
    if not directory:
        pytest.skip("OPENML_CACHE_DIR is not set: give a directory that holds org/openml/www")
    if not (Path(directory) / "org" / "openml" / "www").is_dir():
        pytest.skip(f"OPENML_CACHE_DIR is {directory!r}, which holds no org/openml/www")
    return Path(directory)
