"""Where compiled code is kept."""

from pathlib import Path

import pipeline.kernels
from pipeline.kernels import cache_folder
from pipeline.kernels.program import train


def test_compiled_code_lies_in_the_folder_of_the_state_of_all_sources():
    assert cache_folder() in Path(train._cache.cache_path).parents


def test_another_state_of_any_source_has_another_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    for name in ("__init__", "blas", "losses"):
        (tmp_path / f"{name}.py").write_text(name)
    monkeypatch.setattr(pipeline.kernels, "__file__", str(tmp_path / "__init__.py"))
    before = cache_folder()
    (tmp_path / "losses.py").write_text("other")
    assert cache_folder() != before
    (tmp_path / "losses.py").write_text("losses")
    assert cache_folder() == before
