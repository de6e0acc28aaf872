"""What the machine offers this process."""

from __future__ import annotations

import os


def cores() -> int:
    """Cores that this process may use (macOS knows only how many there are)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
