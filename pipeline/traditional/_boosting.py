"""What the two boosters share: how many rounds, and how long without progress is too long."""

from __future__ import annotations

ROUNDS = 10_000
"""Most boosting rounds with validation rows (Auto-PyTorch)."""


def patience(n_train: int) -> int:
    """Rounds without a better validation loss after which boosting stops: 150, more on less than 10,000 rows.

    >>> [patience(n) for n in (50_000, 10_000, 5_000, 100)]
    [150, 150, 300, 15000]
    """
    return 150 if n_train > 10_000 else max(round(150 * 10_000 / n_train), 10)
