"""What can go wrong between us and a peer: it is not installed, it has no word for a space, or it broke."""

from __future__ import annotations

from lcbench.errors import UserError


class PeerMissingError(UserError):
    """The peer is not installed; the sentence says how to install it."""


class UnsupportedError(UserError):
    """The peer cannot search this space (conditions, ordinals, …), run on this ladder, or learn from what it did not propose."""


class PeerError(RuntimeError):
    """The peer died, answered nonsense or nothing, or raised; the message ends with the last lines that it wrote."""
