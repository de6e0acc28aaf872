"""What is compiled: one epoch of one dense network, its scores and the statistics of its gradients, by numba, on one thread.

Every function here has a readable counterpart that tests compare it with: torch's own layers (`pipeline.learner`), numpy's quantiles, or a
line of integer arithmetic. Compiled code is kept beside the source, so a machine compiles once, for half a minute.
"""

import os
import zlib
from pathlib import Path


def cache_folder() -> Path:
    """Where compiled code is kept: a folder for every state of all sources, for numba notices changes of one file only."""
    here = Path(__file__).parent
    state = zlib.crc32(b"".join(path.read_bytes() for path in sorted(here.glob("*.py"))))
    return Path(os.environ.get("NUMBA_CACHE_DIR") or here / "__pycache__") / f"{state:08x}"
