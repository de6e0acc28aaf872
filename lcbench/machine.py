"""What the machine offers this process."""

from __future__ import annotations


def cores() -> int:
    """Cores that this process may use: no more than its affinity (but on macOS) and the quota of its container allow."""
    from joblib import cpu_count

    return int(cpu_count())
