"""Floor 2, put together and run: configuration, executors, the loop, the run directory."""

import time

START = time.monotonic()
"""When the harness began to load, from which a run counts its seconds; its process may be older, and have been another program before."""
