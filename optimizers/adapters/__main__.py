"""The peers' environments from the shell: python -m optimizers.adapters list | install PEER…."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from lcbench.errors import UserError, exit_code
from optimizers.adapters.errors import PeerMissingError
from optimizers.adapters.interpreters import SERVERS, WHOLE, environment, interpreter, peers


def state(peer: str) -> str:
    """One line: the peer, its version and the Python that runs it, or the command that installs it."""
    try:
        found = interpreter(peer)
    except PeerMissingError:
        return f"{peer:12} missing: python -m optimizers.adapters install {peer}"
    distribution, pinned = requirement(peer)
    code = f"from importlib.metadata import version; print(version({distribution!r}))"
    version = subprocess.run([found, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    place = "in this environment" if found == Path(sys.executable) else f"in {found.parents[1]}"
    return f"{peer:12} {version:8} {place}" + (f" (the adapter was made for {pinned})" if version != pinned else "")


def requirement(peer: str) -> tuple[str, str]:
    """The peer's distribution and the version that the adapter was made for: the first requirement of its file."""
    lines = (SERVERS / f"{peer}.txt").read_text().splitlines()
    distribution, _, pinned = next(line for line in lines if not line.startswith("#")).partition("==")
    return distribution, pinned


def install(peer: str, constraints: Path | None = None) -> None:
    """Make the peer's own environment, from its pinned requirements; an environment that is there is brought up to date.

    Raises:
        UserError: if there is no such peer, or pip fails; then an environment that was not whole before is removed again.
    """
    folder = environment(peer)
    was_whole = (folder / WHOLE).exists()
    if not was_whole:
        print(f"{peer}: new environment in {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-r", str(SERVERS / f"{peer}.txt")]
    if constraints:
        command += ["-c", str(constraints)]
    if code := subprocess.run(command, check=False).returncode:  # what pip prints is the progress
        if not was_whole:
            shutil.rmtree(folder)
        raise UserError(f"pip ended with code {code} for {peer}: its last lines above say why")
    (folder / WHOLE).touch()
    print(state(peer))


def install_all(wanted: Sequence[str], constraints: Path | None) -> None:
    """Install peers one after the other; one that fails does not stop the others.

    Raises:
        UserError: if a peer is unknown, before anything is installed; or at the end, if one could not be installed.
    """
    for peer in wanted:
        environment(peer)
    reasons = []
    for peer in wanted:
        try:
            install(peer, constraints)
        except UserError as error:
            reasons.append(str(error))
    if reasons:
        raise UserError("\n".join(reasons))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 2 if the user has to mend something."""
    parser = argparse.ArgumentParser(prog="python -m optimizers.adapters", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="every peer, and where it is installed")
    installing = verbs.add_parser("install", help="make the environments of peers")
    installing.add_argument("peer", nargs="+", help=f"of {', '.join(peers())}")
    installing.add_argument("-c", "--constraint", type=Path, help="a file of versions for pip to keep to")
    given = parser.parse_args(arguments)
    return exit_code(show if given.verb == "list" else partial(install_all, given.peer, given.constraint))


def show() -> None:
    """Print every peer, and where it is installed."""
    print("\n".join(map(state, peers())))


if __name__ == "__main__":
    sys.exit(main())
