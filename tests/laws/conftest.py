"""Which laws wait for the long run: a method that asks a model for milliseconds shows most of them on the simpler space."""

import pytest
from hydra.utils import get_class
from omegaconf import OmegaConf

from tests.experiments.conftest import OPTIMIZERS

ALWAYS = ("test_asks_are_legal_and_on_the_ladder", "test_a_seed_decides_every_ask")
"""Laws that every method shows on both spaces every time."""


@pytest.hookimpl(tryfirst=True)  # before the marks are read
def pytest_collection_modifyitems(items):
    """Mark what costs minutes."""
    costly = {name for name, path in OPTIMIZERS.items() if getattr(get_class(OmegaConf.load(path)["_target_"]), "costly", False)}
    for item in items:
        asked = item.callspec.params if hasattr(item, "callspec") else {}
        where = (item.path.parent.name, item.path.name)
        rest = where == ("laws", "test_optimizers.py") and item.originalname not in ALWAYS
        if rest and asked.get("name") in costly and asked.get("space") == "mixed":
            item.add_marker(pytest.mark.slow)
