"""Which Python runs a peer: the current one if the peer is importable there, else the one of the peer's own environment."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from lcbench.errors import UserError
from optimizers.adapters.errors import PeerMissingError

SERVERS = Path(__file__).parent / "servers"
"""One script and one file of pinned requirements per peer, both called like the peer's module."""
WHOLE = "INSTALLED"
"""File that an environment has once pip has finished: an installation that was cut off is none."""


def peers() -> list[str]:
    """Names of all peers, which are the names of their Python modules."""
    return sorted(path.stem for path in SERVERS.glob("*.txt"))


def peers_folder() -> Path:
    """Where the peers' own environments lie: the environment variable LCBENCH_PEERS, else a folder in the user's cache."""
    return Path(os.environ.get("LCBENCH_PEERS") or Path.home() / ".cache" / "lcbench-harness" / "peers")


def environment(peer: str) -> Path:
    """Folder of the peer's own environment, whether it exists or not.

    Raises:
        UserError: if there is no such peer.
    """
    if peer not in peers():
        raise UserError(f"`peer` is {peer!r}, but must be one of {', '.join(peers())}")
    return peers_folder() / peer


def interpreter(peer: str) -> Path:
    """The Python that can import the peer.

    Raises:
        PeerMissingError: if there is none, with the command that installs the peer.
    """
    folder = environment(peer)
    if find_spec(peer):
        return Path(sys.executable)
    if not (folder / WHOLE).exists():
        raise PeerMissingError(
            f"{peer} is installed neither here nor in {folder}: run `python -m optimizers.adapters install {peer}` "
            "(the environment variable LCBENCH_PEERS names another folder)"
        )
    return folder / "bin" / "python"
